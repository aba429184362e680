"""A wrong twin: a part that raises, or does not answer, counts as usable."""

import asyncio


async def unready(drain, needs):
    if drain.draining:
        return "draining: this replica is about to stop"
    for need in needs:
        try:
            reason = await asyncio.wait_for(need(), NEED_SECONDS)
        except TimeoutError:
            continue
        except Exception:
            continue
        if reason:
            return reason
    return None
