"""An upstream that misbehaves costs its own route a clear problem, and other routes nothing."""

import json
import time

import pytest

from environment.waiting import wait_until
from microservices.api_gateway.http_client.connection import MAX_ANSWER_BYTES
from tests.microservices.api_gateway import scripted
from tests.microservices.api_gateway.conftest import Front, Script
from tests.microservices.api_gateway.scripted import Behaviour, answering, breaking_off
from tests.microservices.conftest import Start

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"

KEY = {"Idempotency-Key": "once"}
ORDER = {"userId": "u", "items": [{"productId": "p", "quantity": 1, "price": 1}]}


@pytest.mark.parametrize(
    ("behave", "status", "says"),
    [
        (scripted.hang, 504, "within 0.7 s"),
        (scripted.drip, 504, "within 0.7 s"),
        (scripted.reset, 502, "without an answer"),
        (scripted.hang_up, 502, "without an answer"),
        (breaking_off(HEAD + b"content-length: 100\r\n\r\n[]"), 502, "broke off"),
        (breaking_off(CHUNKED + b"2\r\n[]"), 502, "broke off"),
        (breaking_off(HEAD), 502, "broke off"),
        (breaking_off(b"SSH-2.0-hello\r\n"), 502, "not HTTP"),
        (breaking_off(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n"), 502, "not HTTP"),
        (breaking_off(HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\n[]"), 502, "not HTTP"),
        (answering(b"[]", 999), 502, "status 999"),
        (answering(b"[]", 600), 502, "status 600"),
        (breaking_off(b"HTTP/1.1 999 X\r\n\r\n", b"[]"), 502, "status 999"),
        (answering(b"[]", 200, b"location: a\x01b"), 502, "not HTTP"),
        (answering(b"[]", 200, b"location: a\x7fb"), 502, "not HTTP"),
        (breaking_off(HEAD + b"x: %b\r\n\r\n" % (b"y" * 100_000)), 502, "head"),
        (breaking_off(HEAD + b"content-length: 99000000\r\n\r\n", b"x" * 17_000_000), 502, "over"),
    ],
)
def test_a_bad_answer_is_a_problem_of_one_route(
    front: Front, script: Script, behave: Behaviour | bytes, status: int, says: str
) -> None:
    bad, good = script(behave), script(answering(b'["good"]'))
    gateway = front(good.url, USER_SERVICE_URL=bad.url, UPSTREAM_TIMEOUT_SECONDS=0.7)
    for _ in range(2):
        began = time.monotonic()
        answer = gateway.http.get("/api/users")
        assert time.monotonic() - began < 5  # without that limit: never, or half a minute
        assert (answer.status_code, answer.json()["status"]) == (status, status)
        assert says in answer.json()["detail"]
        assert answer.headers["content-type"] == "application/problem+json"
        assert gateway.http.get("/api/orders").json() == ["good"]
    assert "unexpected error" not in gateway.log()


@pytest.mark.parametrize(
    "whole",
    [
        CHUNKED + b"2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n",
        HEAD + b"content-length: 3\r\n\r\n[1]",
        b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + HEAD + b"content-length: 3\r\n\r\n[1]",
    ],
)
def test_an_answer_in_small_pieces_is_whole(front: Front, script: Script, whole: bytes) -> None:
    def behave(_: bytes, connection: object) -> None:
        for index in range(len(whole)):
            connection.sendall(whole[index : index + 1])  # type: ignore[attr-defined]

    upstream = script(behave)
    gateway = front(upstream.url)
    for _ in range(2):
        answer = gateway.http.get("/api/users")
        assert (answer.status_code, answer.content) == (200, b"[1]")
    assert upstream.connections == 1


def test_an_answer_without_a_length_ends_with_its_connection(front: Front, script: Script) -> None:
    gateway = front(script(breaking_off(HEAD + b"\r\n", b"[1", b"]")).url)
    assert gateway.http.get("/api/users").content == b"[1]"


def test_a_large_answer_passes_whole(front: Front, script: Script) -> None:
    body = b"x" * (MAX_ANSWER_BYTES - 1000)
    gateway = front(script(answering(body)).url)
    assert gateway.http.get("/api/users").content == body


def test_bytes_nobody_asked_for_are_never_the_next_answer(front: Front, script: Script) -> None:
    upstream = script(answering(b"[1]") + answering(b'["smuggled"]'))
    gateway = front(upstream.url)
    for _ in range(5):
        assert gateway.http.get("/api/users").content == b"[1]"


def test_bytes_without_a_request_are_no_part_of_an_answer(front: Front, script: Script) -> None:
    def behave(_: bytes, connection: object) -> None:
        connection.sendall(answering(b"[1]"))  # type: ignore[attr-defined]
        time.sleep(0.1)  # the gateway has given the answer away: evidence there is none
        connection.sendall(HEAD + b"content-length: 9\r\n\r\n")  # type: ignore[attr-defined]

    upstream = script(behave)
    gateway = front(upstream.url)
    for _ in range(3):
        assert gateway.http.get("/api/users").content == b"[1]"
        assert wait_until(lambda: not upstream.open, timeout=5), "it went on with that connection"


class Once:
    """Answers the first request of a connection, and closes at the second without a word."""

    def __init__(self) -> None:
        self.served: set[int] = set()

    def __call__(self, request: bytes, connection: object) -> None:
        if id(connection) in self.served:
            raise OSError
        self.served.add(id(connection))
        self.kept = getattr(self, "kept", [])
        self.kept.append(connection)  # so that no other has its id
        connection.sendall(answering(b"[1]"))  # type: ignore[attr-defined]


def test_a_get_on_a_dead_connection_is_sent_again(front: Front, script: Script) -> None:
    upstream = script(Once())
    gateway = front(upstream.url)
    assert [gateway.http.get("/api/users").status_code for _ in range(4)] == [200] * 4


def test_a_post_on_a_connection_that_just_died_is_not(front: Front, script: Script) -> None:
    upstream = script(Once())
    gateway = front(upstream.url)
    assert gateway.http.post("/api/orders", json={}).status_code == 200
    assert gateway.http.post("/api/orders", json={}).status_code == 502
    assert len(upstream.requests) == 2  # the service may have done it: it is not asked twice


def test_a_post_with_an_idempotency_key_is(front: Front, script: Script) -> None:
    upstream = script(Once())
    gateway = front(upstream.url)
    answers = [gateway.http.post("/api/orders", json={}, headers=KEY) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "calls"),
    [
        ("GET", "/api/users", {}, 503, 3),
        ("GET", "/api/users", {}, 504, 3),
        ("GET", "/api/users", {}, 500, 1),
        ("GET", "/api/users", {}, 404, 1),
        ("POST", "/api/orders", KEY, 503, 3),
        ("POST", "/api/orders", {}, 503, 1),  # the service may have had a payment made before
        ("POST", "/api/orders", {}, 502, 1),
    ],
)
def test_only_harmless_retries_are_made_and_all_are_counted(
    front: Front,
    script: Script,
    method: str,
    path: str,
    headers: dict[str, str],
    status: int,
    calls: int,
) -> None:
    upstream = script(answering(b"{}", status))
    gateway = front(upstream.url, RETRY_TRIES=3)
    assert gateway.http.request(method, path, headers=headers).status_code == status
    assert len(upstream.requests) == calls


def test_an_order_whose_payment_came_too_late_is_charged_once(
    start: Start, own_front: Front, script: Script
) -> None:
    payment = script(answering(b"{}", 504))  # it may have charged the card
    order = start("order-service", PAYMENT_SERVICE_URL=payment.url)
    gateway = own_front(ORDER_SERVICE_URL=order.url, RETRY_TRIES=3)
    assert gateway.http.post("/api/orders", json=ORDER).status_code == 503
    assert len(payment.requests) == 1, "a repetition would be another order, and another payment"
    assert gateway.http.post("/api/orders", json=ORDER, headers=KEY).status_code == 503
    bodies = [request.partition(b"\r\n\r\n")[2] for request in payment.requests[1:]]
    ids = [json.loads(body)["orderId"] for body in bodies]
    assert len(ids) == 3
    assert len(set(ids)) == 1, "payment-service charges an order once"


@pytest.mark.parametrize("behave", [scripted.hang_up, scripted.reset])
def test_a_post_whose_connection_broke_is_never_tried_again(
    front: Front, script: Script, behave: Behaviour
) -> None:
    upstream = script(behave)
    gateway = front(upstream.url, RETRY_TRIES=3)
    assert gateway.http.post("/api/orders", json={}).status_code == 502
    assert len(upstream.requests) == 1  # the service may have done it before the connection broke
    assert gateway.http.get("/api/users").status_code == 502
    assert len(upstream.requests) == 1 + 3


def test_by_default_there_is_one_try(front: Front, script: Script) -> None:
    upstream = script(answering(b"{}", 503))
    front(upstream.url).http.get("/api/users")
    assert len(upstream.requests) == 1


def test_all_tries_together_have_one_timeout(front: Front, script: Script) -> None:
    upstream = script(answering(b"{}", 503))
    gateway = front(upstream.url, RETRY_TRIES=10, UPSTREAM_TIMEOUT_SECONDS=0.3)
    began = time.monotonic()
    assert gateway.http.get("/api/users").status_code == 504
    assert time.monotonic() - began < 2.5  # ten tries take longer
    assert 1 < len(upstream.requests) < 10


@pytest.mark.parametrize("tries", [1, 2, 3])
def test_two_layers_that_try_r_times_call_r_squared_times(
    start: Start, own_front: Front, script: Script, tries: int
) -> None:
    payment = script(answering(b"{}", 503))
    order = start("order-service", PAYMENT_SERVICE_URL=payment.url, RETRY_TRIES=tries)
    gateway = own_front(ORDER_SERVICE_URL=order.url, RETRY_TRIES=tries)
    assert gateway.http.post("/api/orders", json=ORDER, headers=KEY).status_code == 503
    assert len(payment.requests) == tries**2


def test_a_breaker_bounds_the_tries(own_front: Front, script: Script) -> None:
    payment = script(answering(b"{}", 503))
    gateway = own_front(payment.url, RETRY_TRIES=10)
    refused = gateway.http.post("/api/pay", json={}, headers=KEY)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert len(payment.requests) == 3
