"""The algorithms that a cell shows agree with the libraries that the gateway uses, decision for decision."""

import asyncio
import random
from collections.abc import Awaitable

import pytest
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from labs.algorithms import CircuitBreaker, MovingWindow
from microservices.api_gateway.breaker import Breaker, CircuitOpen
from microservices.api_gateway.http_client.connection import UpstreamResponse


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("seed", range(5))
def test_the_moving_window_decides_as_the_library(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, chance = Clock(), random.Random(seed)
    monkeypatch.setattr("time.time", clock)
    library, item = MovingWindowRateLimiter(MemoryStorage()), RateLimitItemPerSecond(5, 2)
    ours = MovingWindow(limit=5, seconds=2)
    decisions = []
    for _ in range(400):
        clock.now += chance.expovariate(4)
        decisions.append((library.hit(item, "client"), ours.admits(clock.now)))
    assert all(theirs == own for theirs, own in decisions)
    assert {own for _, own in decisions} == {True, False}


@pytest.mark.parametrize("seed", range(5))
def test_the_breaker_decides_as_the_library(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, chance = Clock(), random.Random(seed)
    monkeypatch.setattr("time.monotonic", clock)
    theirs = Breaker(failures=3, open_seconds=2, changed=lambda old, new: None)
    ours = CircuitBreaker(failures=3, open_seconds=2)
    passed = []
    for _ in range(400):
        clock.now += chance.expovariate(2)
        failed = chance.random() < 0.6
        own = ours.passes(clock.now)
        if own:
            ours.ended(failed=failed, now=clock.now)
        passed.append((asks(theirs, 503 if failed else 200), own))
    assert all(library == own for library, own in passed)
    assert {own for _, own in passed} == {True, False}


def test_one_probe_at_a_time_passes() -> None:
    breaker = CircuitBreaker(failures=1, open_seconds=1)
    breaker.ended(failed=True, now=0.0)
    assert [breaker.passes(now) for now in (0.5, 1.1, 1.2)] == [False, True, False]
    breaker.ended(failed=False, now=1.3)
    assert breaker.passes(1.3)


def asks(breaker: Breaker, status: int) -> bool:
    """Return whether a request passes the library's breaker, and let it end with that status."""

    def send() -> Awaitable[UpstreamResponse]:
        return answer(status)

    async def call() -> bool:
        try:
            await breaker.call(send)
        except CircuitOpen:
            return False
        return True

    return asyncio.run(call())


async def answer(status: int) -> UpstreamResponse:
    return UpstreamResponse(status, [], b"")
