from collections.abc import Iterator

import pytest

from microservices.kit.body import MAX_BYTES
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


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_that_does_not_claim_to_be_json_is_a_415(order: Running, kind: str) -> None:
    answer = order.http.post("/orders", content=b"{}", headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert "Content-Type: application/json" in answer.json()["detail"]


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/ld+json"])
def test_kinds_of_json_are_json(order: Running, kind: str) -> None:
    answer = order.http.post("/orders", json=new_order(), headers={"Content-Type": kind})
    assert answer.status_code == 201
