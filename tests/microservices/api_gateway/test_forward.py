from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.microservices.api_gateway.conftest import Front, Script
from tests.microservices.api_gateway.scripted import answering
from tests.microservices.examples import new_key, new_order
from tests.microservices.running import Running


def test_users_are_those_of_user_service_byte_by_byte(gateway: Running, user: Running) -> None:
    assert gateway.http.get("/api/users").content == user.http.get("/users").content


def test_an_order_made_through_the_gateway_is_found_there(gateway: Running) -> None:
    made = gateway.http.post("/api/orders", json=new_order())
    assert made.status_code == 201
    found = gateway.http.get(f"/api/orders/{made.json()['id']}")
    assert found.json() == made.json() | {"cancellationReason": None}
    assert made.json() in gateway.http.get("/api/orders").json()


def test_a_repeated_idempotency_key_gets_the_first_answer(gateway: Running) -> None:
    key = new_key()
    first, second = (
        gateway.http.post("/api/orders", json=new_order(), headers=key) for _ in range(2)
    )
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.content == second.content


def test_a_payment_and_a_problem_pass_unchanged(gateway: Running) -> None:
    assert gateway.http.post("/api/pay", json={"amount": 5}).json()["status"] == "completed"
    refused = gateway.http.post("/api/pay", json={"amount": -5})
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert "/amount" in refused.json()["detail"]


def test_the_correlation_id_goes_there_and_comes_back(front: Front, script: Script) -> None:
    upstream = script(answering())
    gateway = front(upstream.url)
    answer = gateway.http.get("/api/users", headers={"X-Correlation-Id": "click-1"})
    assert answer.headers.get_list("x-correlation-id") == ["click-1"]
    assert b"x-correlation-id: click-1\r\n" in upstream.requests[0]


def test_what_passes_and_what_does_not(front: Front, script: Script) -> None:
    upstream = script(
        answering(b"\xff\x00{", 201, b"Location: /orders/1", b"Set-Cookie: a=b", b"Server: x")
    )
    gateway = front(upstream.url)
    answer = gateway.http.post(
        "/api/orders?page=%2F1&x",
        content=b"\x00\xff not JSON",
        headers={"Content-Type": "text/x", "Idempotency-Key": "k", "Authorization": "Bearer t"},
    )
    assert (answer.status_code, answer.content) == (201, b"\xff\x00{")
    assert answer.headers["location"] == "/orders/1"
    assert not {"set-cookie", "server"} & set(answer.headers)
    head, _, body = upstream.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /orders?page=%2F1&x HTTP/1.1\r\n")
    assert body == b"\x00\xff not JSON"
    assert b"content-type: text/x" in head
    assert b"idempotency-key: k" in head
    assert b"authorization" not in head.lower()


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_an_error_page_of_a_service_becomes_a_problem(
    front: Front, script: Script, status: int
) -> None:
    page = b"HTTP/1.1 %d X\r\ncontent-type: text/html\r\nretry-after: 7\r\ncontent-length: 6\r\n\r\n<html>"
    gateway = front(script(page % status).url)
    answer = gateway.http.get("/api/users")
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "7"


def test_a_strange_id_is_one_segment_of_a_path(front: Front, script: Script) -> None:
    upstream = script(answering(b"{}"))
    gateway = front(upstream.url)
    for sent, arrives in (("a%20b", "a%20b"), ("%3Fx=1", "%3Fx%3D1"), ("%0d%0aX:1", "%0D%0AX%3A1")):
        gateway.http.get(f"/api/orders/{sent}")
        assert upstream.requests[-1].startswith(f"GET /orders/{arrives} HTTP/1.1\r\n".encode())


def test_a_body_over_a_megabyte_never_reaches_the_service(front: Front, script: Script) -> None:
    upstream = script(answering())
    gateway = front(upstream.url)
    assert gateway.http.post("/api/orders", content=b"x" * 1_000_001).status_code == 413
    assert upstream.requests == []


def test_connections_to_a_service_are_kept_and_shared(front: Front, script: Script) -> None:
    upstream = script(answering())
    gateway = front(upstream.url)
    for _ in range(20):
        gateway.http.get("/api/users")
    assert upstream.connections == 1
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: httpx.get(f"{gateway.url}/api/users", timeout=5), range(40)))
    assert upstream.connections <= 8


def test_other_methods_are_refused_with_the_right_ones(gateway: Running) -> None:
    refused = gateway.http.delete("/api/orders")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, POST")


def test_ready_asks_no_other_service(front: Front) -> None:
    gateway = front()  # no upstream listens behind it
    assert gateway.http.get("/ready").status_code == 200
    assert gateway.http.get("/api/users").status_code == 503
    assert gateway.http.get("/ready").status_code == 200
