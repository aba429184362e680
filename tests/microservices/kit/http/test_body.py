import asyncio
import gzip
import json
import socket
from collections.abc import Iterator

import httpx
import pytest
from starlette.types import Message

from environment.waiting import wait_until
from microservices.kit.http.body import MAX_BYTES, Refused, read_announced
from tests.microservices.examples import new_order
from tests.microservices.running import Running
from tests.wire import CLOSING, exchange, request

JSON = {"Content-Type": "application/json"}


def chunks(total: int) -> Iterator[bytes]:
    for _ in range(total // 1000):
        yield b" " * 1000


def test_a_body_over_the_limit_is_a_413_problem(order: Running) -> None:
    answer = order.http.post("/orders", content=b" " * (MAX_BYTES + 1), headers=JSON)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_chunked_body_over_the_limit_is_a_413_problem(order: Running) -> None:
    answer = order.http.post("/orders", content=chunks(MAX_BYTES + 2000), headers=JSON)
    assert answer.status_code == 413


@pytest.mark.parametrize("size", [1_500_000, 10_000_000])
@pytest.mark.parametrize("name", ["order", "gateway"])
def test_every_client_gets_its_413(shared: dict[str, Running], name: str, size: int) -> None:
    path = "/api/orders" if name == "gateway" else "/orders"
    for _ in range(5):
        (answer,) = exchange(shared[name].port, request("POST", path, b" " * size))
        assert answer.status == 413
        assert str(MAX_BYTES) in answer.problem["detail"]
        with httpx.Client(trust_env=False) as client:  # it writes all before it reads
            posted = client.post(shared[name].url + path, content=b" " * size, headers=JSON)
        assert posted.status_code == 413


def test_a_body_over_the_limit_that_waits_for_a_go_is_not_sent(order: Running) -> None:
    head = request("POST", "/orders", None, "Expect: 100-continue", "Content-Length: 10000000")
    with socket.create_connection(("127.0.0.1", order.port), timeout=5) as client:
        client.sendall(head)
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("name", ["order", "gateway"])
def test_an_encoded_body_is_a_415_that_names_the_reason(
    shared: dict[str, Running], name: str
) -> None:
    body = gzip.compress(json.dumps(new_order()).encode())
    path = "/api/orders" if name == "gateway" else "/orders"
    for coding in ("gzip", "GZIP", "identity, gzip", "br"):
        headers = JSON | {"Content-Encoding": coding}
        answer = shared[name].http.post(path, content=body, headers=headers)
        assert answer.status_code == 415
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["accept-encoding"] == "identity"
        assert coding in answer.json()["detail"]


def test_a_body_encoded_as_itself_is_read(order: Running) -> None:
    headers = {"Content-Encoding": "identity"}
    assert order.http.post("/orders", json=new_order(), headers=headers).status_code == 201


def test_a_body_shorter_than_announced_is_refused() -> None:
    # What a server below hands on: httptools reads what is announced, but another may not.
    scope = {"type": "http", "method": "POST", "headers": [(b"content-length", b"100")]}

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    with pytest.raises(Refused, match="100 bytes were announced, and 0 came"):
        asyncio.run(read_announced(scope, receive))


EARLY = {
    "no route": ("order", "POST", "/nowhere", 404),
    "no method": ("order", "DELETE", "/orders", 405),
    "a probe": ("order", "POST", "/health", 405),
    "authorization": ("gateway", "GET", "/api/secure", 401),
    "a route without a body": ("gateway", "GET", "/api/users", 200),
    "the type of the body": ("order", "POST", "/orders", 415),
    "the token of faults": ("order", "PUT", "/faults", 422),
}


@pytest.mark.parametrize("reason", EARLY)
def test_a_request_that_needs_no_body_is_answered_after_it(
    shared: dict[str, Running], reason: str
) -> None:
    name, method, path, status = EARLY[reason]
    kind = "text/plain" if status == 415 else "application/json"
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: 900000\r\n"
    )
    kept, closed, body = (
        f"{head}\r\n",
        f"{head}Connection: close\r\n\r\n",
        b'{"a":1}'.rjust(900_000),
    )
    for _ in range(3):
        first, health = exchange(shared[name].port, kept.encode(), body, CLOSING)
        assert (first.status, health.status) == (status, 200)
        (only,) = exchange(shared[name].port, closed.encode(), body)
        assert only.status == status


def test_a_body_at_the_limit_is_read(user: Running) -> None:
    body = b'{"name":"Barbara Liskov"}'.rjust(MAX_BYTES)
    answer = user.http.post("/users", content=body, headers=JSON)
    assert answer.status_code == 201


def test_half_a_request_does_not_pass_for_a_whole_one(user: Running) -> None:
    before = user.http.get("/users").json()
    head = "POST /users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", user.port)) as client:
        client.sendall(f'{head}Content-Length: 100\r\n\r\n{{"name":"Nobody"}}'.encode())
    line = 'http_requests_total{method="POST",route="none",status="499"} 1.0'
    assert wait_until(lambda: line in user.http.get("/metrics").text, timeout=5)
    # A later request on another connection is answered after the end of the first was seen.
    for _ in range(20):
        assert user.http.get("/users").json() == before


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 5, 6\r\n\r\n{}",
        b"Content-Length: 99999999999999999999999\r\n\r\n{}",
        b"Content-Length: -1\r\n\r\n{}",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"Content-Length: 2000000\r\n\r\n",
    ],
)
def test_a_malformed_request_is_a_4xx(user: Running, rest: bytes) -> None:
    with socket.create_connection(("127.0.0.1", user.port), timeout=5) as client:
        client.sendall(b"POST /users HTTP/1.1\r\nHost: x\r\n" + rest)
        assert client.recv(100).startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_not_declared_as_json_is_a_415(order: Running, kind: str) -> None:
    answer = order.http.post("/orders", content=b"{}", headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert "Content-Type: application/json" in answer.json()["detail"]


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/ld+json"])
def test_kinds_of_json_are_json(order: Running, kind: str) -> None:
    answer = order.http.post("/orders", json=new_order(), headers={"Content-Type": kind})
    assert answer.status_code == 201
