import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from microservices.kit.drain import Drain
from tests.microservices.conftest import Start
from tests.microservices.running import Running


def test_sigterm_finishes_the_payment_and_is_not_ready_meanwhile(start: Start) -> None:
    payment = start("payment-service", PAYMENT_SECONDS=1.5)
    with ThreadPoolExecutor() as pool:
        paying = pool.submit(httpx.post, f"{payment.url}/pay", json={"amount": 5}, timeout=15)
        wait_for_in_flight(payment)
        payment.terminate()
        terminated = time.monotonic()
        assert status_of_ready(payment, unlike=200) == 503
        assert not paying.done()
        answer = paying.result()
    assert answer.status_code == 200
    assert answer.headers["connection"] == "close"
    assert payment.process.wait(10) == 0
    assert time.monotonic() - terminated < 10


def test_a_signal_logs_nothing_while_a_line_may_be_written(
    caplog: pytest.LogCaptureFixture,
) -> None:
    drain = Drain()
    with caplog.at_level("INFO"):
        drain.announce()
        drain.start()  # in the handler of the signal
        assert caplog.messages == []
        drain.announce()
        drain.announce()
    assert caplog.messages == ["draining"]


def test_an_idle_service_leaves_at_once(start: Start) -> None:
    users = start("user-service")
    users.http.get("/users")  # leaves an idle connection open
    users.terminate()
    assert users.process.wait(3) == 0


def test_a_payment_longer_than_the_drain_is_cut(start: Start) -> None:
    payment = start("payment-service", PAYMENT_SECONDS=30)
    with ThreadPoolExecutor() as pool:
        paying = pool.submit(httpx.post, f"{payment.url}/pay", json={"amount": 5}, timeout=15)
        wait_for_in_flight(payment)
        payment.terminate()
        assert payment.process.wait(10) == 0
        assert paying.exception() or not paying.result().is_success


def wait_for_in_flight(running: Running) -> None:
    """Return when the service has the request: it counts it as read from its own socket."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if "http_requests_in_flight 2.0" in running.http.get("/metrics").text:
            return  # the payment, and the question itself
        time.sleep(0.02)
    raise AssertionError("the payment never arrived")


def status_of_ready(running: Running, *, unlike: int) -> int:
    """Return the first status of `/ready` that is another one, each asked on a new connection."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        status = httpx.get(f"{running.url}/ready").status_code
        if status != unlike:
            return status
    raise AssertionError(f"/ready went on saying {unlike}")
