"""A wrong twin: it answers as long as the process runs."""


async def unready(drain, needs):
    return None
