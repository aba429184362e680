"""A wrong twin: it asks no part of the service."""


async def unready(drain, needs):
    return "draining: this replica is about to stop" if drain.draining else None
