"""A wrong twin: it takes itself for ready until it ends."""

import asyncio


async def unready(drain, needs):
    for need in needs:
        try:
            reason = await asyncio.wait_for(need(), NEED_SECONDS)
        except TimeoutError:
            return "a part of this service did not answer in time"
        except Exception as error:
            return f"a part of this service cannot be checked: {error}"
        if reason:
            return reason
    return None
