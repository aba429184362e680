"""A wrong twin: it returns what the first part says, and asks no other."""

import asyncio


async def unready(drain, needs):
    if drain.draining:
        return "draining: this replica is about to stop"
    for need in needs:
        try:
            reason = await asyncio.wait_for(need(), NEED_SECONDS)
        except TimeoutError:
            return "a part of this service did not answer in time"
        except Exception as error:
            return f"a part of this service cannot be checked: {error}"
        return reason
    return None
