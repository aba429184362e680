"""Requests as the world sends them, through nginx and to each replica: read whole, or refused with a problem."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from environment import Environment
from tests.residue import nothing_left
from tests.wire import CLOSING, OFFER, Answer, exchange, request

pytestmark = pytest.mark.timeout(120)

REPLICAS = {"api-gateway": 2, "user-service": 2}
SETTINGS = {"payment-service": {"PAYMENT_SECONDS": 0}}


@pytest.fixture(
    scope="module", params=["process", pytest.param("docker", marks=pytest.mark.docker)]
)
def env(request: pytest.FixtureRequest) -> Iterator[Environment]:
    environment = Environment(
        "phase2", runtime=request.param, settings=SETTINGS, replicas=REPLICAS
    ).start()
    session = str(environment.session)
    yield environment
    environment.stop()
    assert nothing_left(session, seconds=0) == []


def send(url: str, *segments: bytes) -> list[Answer]:
    """Send bytes to an address of the environment."""
    parts = urlsplit(url)
    assert parts.port
    return exchange(parts.port, *segments, host=parts.hostname or "")


@pytest.mark.parametrize("segments", [1, 2])
@pytest.mark.parametrize("service", ["api-gateway", "payment-service"])
def test_a_payment_that_offers_http2_is_charged_everywhere(
    env: Environment, service: str, segments: int
) -> None:
    path = "/api/pay" if service == "api-gateway" else "/pay"
    charged = {}
    for url in (env[service].url, *(replica.url for replica in env[service].replicas)):
        order_id = str(uuid4())
        body = json.dumps({"orderId": order_id, "amount": 77}).encode()
        whole = request("POST", path, body, *OFFER)
        sent = [whole] if segments == 1 else [whole[: -len(body)], body]
        paid, after = send(url, *sent, CLOSING)
        assert (paid.status, json.loads(paid.body)["amount"]) == (200, 77)
        assert after.status == 200
        charged[order_id] = 77
    ledger = httpx.get(f"{env['payment-service'].url}/ledger", timeout=5).json()
    assert {
        each["orderId"]: each["amount"] for each in ledger["charges"]
    }.items() >= charged.items()


HEAVY = {
    "over the limit": request("POST", "/api/orders", b" " * 1_500_000),
    "over the limit in chunks": request("POST", "/api/orders", None, "Transfer-Encoding: chunked")
    + b"16e360\r\n%b\r\n0\r\n\r\n" % (b" " * 1_500_000),
    "an unknown method": request("FOO", "/api/orders", b" " * 900_000),
    "an encoded body": request("POST", "/api/orders", b" " * 900_000, "Content-Encoding: gzip"),
    "no route": request("POST", "/nowhere", b" " * 900_000),
}


@pytest.mark.parametrize("kind", HEAVY)
def test_one_client_with_long_bodies_costs_the_others_nothing(env: Environment, kind: str) -> None:
    door = env["api-gateway"].url
    last = [] if kind.startswith("over the limit") else [CLOSING.replace(b"/health", b"/ready")]
    with looping(lambda: send(door, HEAVY[kind], *last)) as received:
        with httpx.Client(timeout=5) as client:
            others = Counter(client.get(f"{door}/api/users").status_code for _ in range(100))
        assert others == {200: 100}
    assert len(received) >= 3
    assert {answers[0].problem["status"] for answers in received} <= {400, 404, 413, 415}


@contextmanager
def looping(act: Callable[[], list[Answer]]) -> Iterator[list[list[Answer]]]:
    """Repeat an action in a thread, at least three times; what it returned, and its error if it had one."""
    done: list[list[Answer]] = []
    over = threading.Event()

    def loop() -> None:
        while not over.is_set() or len(done) < 3:
            done.append(act())

    with ThreadPoolExecutor(1) as pool:
        acting = pool.submit(loop)
        try:
            yield done
        finally:
            over.set()
    acting.result()


@pytest.mark.parametrize("service", ["api-gateway", "order-service"])
def test_a_body_of_ten_megabytes_gets_its_413_each_time(env: Environment, service: str) -> None:
    path = "/api/orders" if service == "api-gateway" else "/orders"
    sent = request("POST", path, b" " * 10_000_000)
    for url in (env[service].url, *(replica.url for replica in env[service].replicas)):
        for _ in range(5):
            (answer,) = send(url, sent)
            assert answer.status == 413
            assert "1000000 bytes" in answer.problem["detail"]


def test_a_failing_replica_answers_a_long_body_itself(env: Environment) -> None:
    sent = request("POST", "/users", b'{"name":"Ada"}'.rjust(900_000))
    with env["user-service"].failing(503):
        before = len(env.access_log())
        for _ in range(15):
            fault, _ = send(env["user-service"].url, sent, CLOSING.replace(b"/health", b"/ready"))
            assert (fault.status, "injected" in fault.problem["detail"]) == (503, True)
        alone = request("POST", "/users", b'{"name":"Ada"}'.rjust(900_000), "Connection: close")
        for replica in env["user-service"].replicas * 5:
            (fault,) = send(replica.url, alone[:500], alone[500:])
            assert fault.problem["status"] == 503
        log = env.access_log().iloc[before:]
        assert [len(tried) for tried in log["attempts"]] == [1] * len(log)
        assert set(log["replica"]) == {"user-service-1", "user-service-2"}


NGINX_REFUSES = {
    "garbage": (400, b"GARBAGE\r\n\r\n"),
    "no host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "another version": (400, b"GET / HTTP/2.0\r\nHost: x\r\n\r\n"),
    "an unknown coding": (400, request("POST", "/users", None, "Transfer-Encoding: gzip")),
    "a length and chunks": (400, request("POST", "/users", b"{}", "Transfer-Encoding: chunked")),
    "a long target": (414, request("GET", "/" + "a" * 9_000)),
    "a long header": (431, request("GET", "/", None, "X: " + "a" * 9_000)),
    "a long head": (431, request("GET", "/", None, *["X: " + "a" * 8_000] * 5)),
    "a long body": (413, request("POST", "/users", b" " * 1_000_001)),
    "CONNECT": (405, request("CONNECT", "x:1")),
    "TRACE": (405, request("TRACE", "/users", None, "Connection: close")),
    "its own page": (404, request("GET", "/nginx-problem", None, "Connection: close")),
}


@pytest.mark.parametrize("kind", NGINX_REFUSES)
def test_what_nginx_refuses_is_a_problem(env: Environment, kind: str) -> None:
    status, sent = NGINX_REFUSES[kind]
    (answer,) = send(env["user-service"].url, sent)
    assert (answer.status, answer.problem["status"]) == (status, status)


def test_a_service_without_replicas_is_a_problem_of_nginx(env: Environment) -> None:
    with env["payment-service"].killed():
        answer = httpx.get(f"{env['payment-service'].url}/ledger", timeout=5)
    # The address of a killed process refuses a connection, that of a killed container lets it time out.
    expected = {
        502: "no replica of payment-service answers",
        504: "payment-service did not answer in time",
    }
    assert answer.json()["detail"] == expected[answer.status_code]
    assert answer.headers["content-type"] == "application/problem+json"


def test_what_an_inner_nginx_refuses_is_a_problem_outside(env: Environment) -> None:
    # With its colon and line end the header is too long for nginx, and not for the gateway in front of it.
    key = f"Idempotency-Key: {'k' * 8_177}"
    (answer,) = send(
        env["api-gateway"].replicas[0].url,
        request("POST", "/api/orders", b"{}", key, "Connection: close"),
    )
    assert answer.status == 431
    assert "nginx" not in answer.headers.get("server", "")
    assert answer.problem["title"] == "Request Header Fields Too Large"


def test_head_passes_through_nginx_and_the_gateway(env: Environment) -> None:
    for url in (f"{env['api-gateway'].url}/api/users", f"{env['user-service'].url}/users"):
        head, get = httpx.head(url, timeout=5), httpx.get(url, timeout=5)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(get.content))
