"""A limit on how much work a replica does at once, whether it comes over HTTP or as an event."""

import asyncio


class ConcurrencyLimit:
    """Admits `count` at once into `async with`, in the order they came; 0 is no limit."""

    def __init__(self, count: int = 0) -> None:
        self._free = asyncio.Semaphore(count) if count else None

    async def __aenter__(self) -> None:
        if self._free:
            await self._free.acquire()

    async def __aexit__(self, *_: object) -> None:
        if self._free:
            self._free.release()
