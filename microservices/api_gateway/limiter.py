"""The rate limit: LIMIT_REQUESTS per LIMIT_SECONDS for each client.

*moving*: never more than the limit in **any** span of that length. *fixed*: the first request opens
a window; the next one after its end opens another. A client that waits can send the last requests of
one window and the first of the next within a short span: up to twice the limit, less the first one.
"""

import math
import time
from dataclasses import dataclass

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, RateLimiter

from microservices.api_gateway.settings import GatewaySettings
from microservices.api_gateway.shared_state import TIMEOUTS, SharedState, answering

POLICY = "per-client"
"""The name of the limit in the header fields."""


@dataclass(frozen=True)
class Verdict:
    """The decision on a request. `reset_seconds`: until one more request, or all of them, are admitted."""

    admitted: bool
    limit: int
    window_seconds: int
    remaining: int
    reset_seconds: int

    @property
    def headers(self) -> dict[str, str]:
        """Return the RateLimit header fields (draft-ietf-httpapi-ratelimit-headers-10).

        Both are structured fields (RFC 9651): the quota `q` and window `w` of the policy; what remains
        of it, `r`, and the seconds until there is more, `t`. Retry-After is for a request that is refused.
        """
        fields = {
            "RateLimit-Policy": f'"{POLICY}";q={self.limit};w={self.window_seconds}',
            "RateLimit": f'"{POLICY}";r={self.remaining};t={self.reset_seconds}',
        }
        return fields if self.admitted else fields | {"Retry-After": str(self.reset_seconds)}


class Limiter:
    """Admits or refuses requests, for each client by itself."""

    def __init__(self, limiter: RateLimiter, *, requests: int, seconds: int) -> None:
        self._limiter = limiter
        self._item = RateLimitItemPerSecond(requests, seconds)
        self.requests, self.seconds = requests, seconds

    async def hit(self, client: str) -> Verdict:
        """Count a request of `client` if it is admitted."""
        admitted = await self._limiter.hit(self._item, client)
        stats = await self._limiter.get_window_stats(self._item, client)
        reset = max(1, math.ceil(stats.reset_time - time.time()))
        remaining = max(0, stats.remaining) if admitted else 0
        return Verdict(admitted, self.requests, self.seconds, remaining, reset)


class SharedLimiter(Limiter):
    """Keeps the windows in Valkey, so that all replicas together admit the limit once."""

    def __init__(
        self, limiter: RateLimiter, shared: SharedState, *, requests: int, seconds: int
    ) -> None:
        super().__init__(limiter, requests=requests, seconds=seconds)
        self.valkey = shared.valkey

    async def hit(self, client: str) -> Verdict:
        """Count a request of `client` in Valkey if it is admitted.

        Raises:
            Problem: 503, Valkey does not answer.
        """
        with answering():
            return await super().hit(client)


def open_limiter(settings: GatewaySettings, shared: SharedState | None) -> Limiter:
    """Return the limiter that `LIMIT_STORE` and `LIMIT_WINDOW` name."""
    kind = MovingWindowRateLimiter if settings.limit_window == "moving" else FixedWindowRateLimiter
    limiter = kind(open_store(settings))
    limit = {"requests": settings.limit_requests, "seconds": settings.limit_seconds}
    if settings.limit_store == "memory" or shared is None:
        return Limiter(limiter, **limit)
    return SharedLimiter(limiter, shared, **limit)


def open_store(settings: GatewaySettings) -> Storage:
    """Return the store of the windows: this process's memory, or Valkey for all replicas together."""
    if settings.limit_store == "memory":
        return MemoryStorage()
    return RedisStorage(f"async+{settings.valkey_url}", **TIMEOUTS)
