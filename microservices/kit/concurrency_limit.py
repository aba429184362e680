"""Slots: how much work a replica does at once, whoever brings it, over HTTP or as an event."""

import asyncio


class Slots:
    """Lets ``count`` into ``async with`` at once, in the order they came; 0 lets everybody in."""

    def __init__(self, count: int = 0) -> None:
        self._free = asyncio.Semaphore(count) if count else None

    async def __aenter__(self) -> None:
        if self._free:
            await self._free.acquire()

    async def __aexit__(self, *_: object) -> None:
        if self._free:
            self._free.release()
