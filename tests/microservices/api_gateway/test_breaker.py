"""The circuit breaker, counted at the upstream and never by the gateway's own word."""

import asyncio
import threading
import time
from collections import Counter

import httpx
import pytest

from environment.waiting import wait_until
from tests.microservices.api_gateway import scripted
from tests.microservices.api_gateway.conftest import Front, Script
from tests.microservices.api_gateway.scripted import answering
from tests.microservices.examples import AUTHORIZED
from tests.microservices.running import Running

OPEN_SECONDS = 1.0


def pay(gateway: Running) -> httpx.Response:
    return gateway.http.post("/api/pay", json={"amount": 5})


def state(gateway: Running) -> str:
    lines = gateway.http.get("/metrics").text.splitlines()
    found = [line for line in lines if line.startswith("circuit_breaker_state{")]
    return next(line.split('"')[1] for line in found if line.endswith(" 1.0"))


def test_a_failing_payment_service_is_spared_and_then_probed(
    payment: Running, own_front: Front
) -> None:
    gateway = own_front(PAYMENT_SERVICE_URL=payment.url, BREAKER_OPEN_SECONDS=OPEN_SECONDS)
    assert (pay(gateway).status_code, state(gateway)) == (200, "closed")
    payment.http.put("/faults", json={"status": 500}, headers=AUTHORIZED).raise_for_status()
    try:
        before = calls(payment)
        assert [pay(gateway).status_code for _ in range(10)] == [500] * 3 + [503] * 7
        assert calls(payment) - before == 3
        assert state(gateway) == "open"
    finally:
        payment.http.put("/faults", json={}, headers=AUTHORIZED).raise_for_status()
    assert wait_until(lambda: pay(gateway).status_code == 200, timeout=10), "it never closed"
    assert state(gateway) == "closed"
    assert "circuit breaker of payment-service is open, was closed" in gateway.log()


def calls(payment: Running) -> int:
    """Return how many POSTs the service has answered, by its own count."""
    lines = payment.http.get("/metrics").text.splitlines()
    found = [line for line in lines if line.startswith('http_requests_total{method="POST"')]
    return sum(int(float(line.rpartition(" ")[2])) for line in found)


def test_a_hundred_times_404_never_open_it(front: Front, script: Script) -> None:
    payment = script(answering(b"{}", 404))
    gateway = front(payment.url)
    assert {pay(gateway).status_code for _ in range(100)} == {404}
    assert len(payment.requests) == 100
    assert state(gateway) == "closed"


@pytest.mark.parametrize("kind", [answering(b"{}", 503), scripted.hang, scripted.reset])
def test_exactly_three_failures_open_it_and_then_nothing_is_sent(
    own_front: Front, script: Script, kind: scripted.Behaviour | bytes
) -> None:
    payment = script(kind)
    gateway = own_front(payment.url, UPSTREAM_TIMEOUT_SECONDS=0.2, BREAKER_OPEN_SECONDS=30)
    for _ in range(3):
        assert state(gateway) == "closed"
        pay(gateway)
    assert state(gateway) == "open"
    for _ in range(20):
        refused = pay(gateway)
        assert refused.status_code == 503
        assert 1 <= int(refused.headers["retry-after"]) <= 31
        assert refused.headers["content-type"] == "application/problem+json"
    assert len(payment.requests) == 3


def test_failures_not_in_a_row_do_not_open_it(front: Front, script: Script) -> None:
    payment = script(b"")
    gateway = front(payment.url)
    for status in (200, 500, 500, 404, 500, 500, 200, 500, 500):
        payment.behave = answering(b"{}", status)
        assert pay(gateway).status_code == status
    assert len(payment.requests) == 9


@pytest.mark.parametrize(("then", "ends"), [(200, "closed"), (500, "open")])
def test_of_fifty_that_wait_one_is_the_probe(
    own_front: Front, script: Script, then: int, ends: str
) -> None:
    payment = script(answering(b"{}", 500))
    gateway = own_front(payment.url, BREAKER_OPEN_SECONDS=OPEN_SECONDS)
    for _ in range(3):
        pay(gateway)
    answered: list[int] = []
    all_others_were = threading.Event()

    def after_all_others(_: bytes, connection: object) -> None:
        all_others_were.wait(10)  # the probe has its answer when the others have theirs
        connection.sendall(answering(b"{}", then))  # type: ignore[attr-defined]

    payment.behave = after_all_others
    time.sleep(OPEN_SECONDS + 0.05)  # the time is what is tested

    async def fifty() -> None:
        limits = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(base_url=gateway.url, limits=limits, timeout=20) as client:

            async def one() -> None:
                answered.append((await client.post("/api/pay", json={})).status_code)
                if len(answered) == 49:
                    all_others_were.set()

            await asyncio.gather(*(one() for _ in range(50)))

    asyncio.run(fifty())
    assert Counter(answered) == {then: 1, 503: 49}
    assert len(payment.requests) == 3 + 1
    assert state(gateway) == ends


def test_other_routes_have_no_breaker(front: Front, script: Script) -> None:
    upstream = script(answering(b"{}", 500))
    gateway = front(upstream.url)
    assert {gateway.http.get("/api/users").status_code for _ in range(10)} == {500}
    assert len(upstream.requests) == 10
