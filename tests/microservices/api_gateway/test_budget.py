"""Retries have a budget: a share of the requests, and a few per second."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from microservices.api_gateway.budget import MOST, PER_SECOND, SHARE, RetryBudget
from tests.microservices.api_gateway.conftest import Front, Script
from tests.microservices.api_gateway.scripted import answering


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def empty(clock: Clock) -> RetryBudget:
    budget = RetryBudget(clock)
    assert sum(budget.spend() for _ in range(1000)) == MOST
    return budget


def test_requests_pay_for_a_fifth_as_many_retries(empty: RetryBudget) -> None:
    for _ in range(100):
        empty.pay_in()
    assert sum(empty.spend() for _ in range(1000)) in (100 * SHARE - 1, 100 * SHARE)


def test_time_pays_for_a_few_more(empty: RetryBudget, clock: Clock) -> None:
    clock.now += 2
    assert sum(empty.spend() for _ in range(1000)) == 2 * PER_SECOND


def test_what_is_saved_up_is_bounded(empty: RetryBudget, clock: Clock) -> None:
    clock.now += 1e6
    for _ in range(10_000):
        empty.pay_in()
    assert sum(empty.spend() for _ in range(1000)) == MOST


def test_an_upstream_that_is_down_gets_few_retries(own_front: Front, script: Script) -> None:
    upstream = script(answering(b"{}", 503))
    gateway = own_front(upstream.url, RETRY_TRIES=10)
    count = 150  # without a budget 1350 retries
    began = time.monotonic()
    with ThreadPoolExecutor(30) as pool:
        asked = pool.map(lambda _: gateway.http.get("/api/users").status_code, range(count))
        statuses = list(asked)
    seconds = time.monotonic() - began
    assert statuses == [503] * count
    retries = len(upstream.requests) - count
    assert MOST / 2 < retries <= MOST + SHARE * count + PER_SECOND * seconds
