"""One counter with three stores, which differ once the gateway has several replicas."""

from typing import Protocol

from microservices.api_gateway.settings import GatewaySettings
from microservices.api_gateway.shared_state import SharedState, answering

KEY = "count"
TTL_SECONDS = 86_400


class Counter(Protocol):
    """Counts calls."""

    async def next(self) -> int:
        """Return the number of this call, from 1."""


class MemoryCounter:
    """Counts in this process: every replica begins at 1, and a restart does too."""

    def __init__(self) -> None:
        self._count = 0

    async def next(self) -> int:
        """Add one in memory."""
        self._count += 1
        return self._count


class GetSetCounter:
    """Reads in Valkey, adds one here, writes back: two calls that read the same number count as one."""

    def __init__(self, shared: SharedState) -> None:
        self._valkey = shared.valkey

    async def next(self) -> int:
        """Read, add one, write."""
        with answering():
            count = int(await self._valkey.get(KEY) or 0) + 1
            await self._valkey.set(KEY, count, ex=TTL_SECONDS)
        return count


class IncrCounter:
    """Increments in Valkey, atomically: no other call runs in between."""

    def __init__(self, shared: SharedState) -> None:
        self._valkey = shared.valkey

    async def next(self) -> int:
        """Add one in one step."""
        with answering():
            async with self._valkey.pipeline() as steps:
                steps.incr(KEY)
                steps.expire(KEY, TTL_SECONDS)
                count, _ = await steps.execute()
        return int(count)


def open_counter(settings: GatewaySettings, shared: SharedState | None) -> Counter:
    """Return the counter that `COUNTER_STORE` names."""
    if settings.counter_store == "memory" or shared is None:
        return MemoryCounter()
    return GetSetCounter(shared) if settings.counter_store == "getset" else IncrCounter(shared)
