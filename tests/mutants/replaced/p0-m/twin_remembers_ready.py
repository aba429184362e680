"""A wrong twin: what was found once is answered for a minute."""

import time

FOUND = {}


async def unready(drain, needs):
    if drain.draining:
        return "draining: this replica is about to stop"
    if FOUND and time.monotonic() < FOUND["until"]:
        return FOUND["reason"]
    reasons = [await need() for need in needs]
    reason = next(filter(None, reasons), None)
    FOUND.update(reason=reason, until=time.monotonic() + 60)
    return reason
