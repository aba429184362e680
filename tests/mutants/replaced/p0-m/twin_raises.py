"""A wrong twin: a part that raises makes the probe raise."""

import asyncio


async def unready(drain, needs):
    if drain.draining:
        return "draining: this replica is about to stop"
    for need in needs:
        try:
            reason = await asyncio.wait_for(need(), NEED_SECONDS)
        except TimeoutError:
            return "a part of this service did not answer in time"
        if reason:
            return reason
    return None
