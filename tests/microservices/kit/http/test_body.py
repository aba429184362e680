import socket
from collections.abc import Iterator

import pytest

from microservices.kit.http.body import MAX_BYTES
from tests.microservices.examples import new_order
from tests.microservices.running import Running

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


def test_a_body_at_the_limit_is_read(user: Running) -> None:
    body = b'{"name":"Barbara Liskov"}'.rjust(MAX_BYTES)
    answer = user.http.post("/users", content=body, headers=JSON)
    assert answer.status_code == 201


def test_half_a_request_does_not_pass_for_a_whole_one(user: Running) -> None:
    before = user.http.get("/users").json()
    head = "POST /users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", user.port)) as client:
        client.sendall(f'{head}Content-Length: 100\r\n\r\n{{"name":"Nobody"}}'.encode())
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
