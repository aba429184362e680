import threading

import pytest

from microservices.api_gateway.http_client.connection import MAX_ANSWER_BYTES
from tests.microservices.api_gateway import scripted
from tests.microservices.api_gateway.conftest import Front, Script
from tests.microservices.api_gateway.scripted import Behaviour, answering, breaking_off
from tests.microservices.conftest import Start
from tests.microservices.running import Running


def test_it_shows_what_both_services_know(gateway: Running) -> None:
    assert gateway.http.get("/api/dashboard").json() == {
        "users": gateway.http.get("/api/users").json(),
        "orders": gateway.http.get("/api/orders").json(),
        "partial": False,
        "unavailable": [],
    }


def test_a_dead_service_is_named_and_the_other_one_shown(start: Start, own_front: Front) -> None:
    users, orders = start("user-service"), start("order-service")
    gateway = own_front(USER_SERVICE_URL=users.url, ORDER_SERVICE_URL=orders.url)
    orders.kill()
    answer = gateway.http.get("/api/dashboard")
    assert answer.status_code == 200
    assert answer.json() == {
        "users": users.http.get("/users").json(),
        "orders": None,
        "partial": True,
        "unavailable": ["order-service"],
    }
    users.kill()
    assert gateway.http.get("/api/dashboard").json()["unavailable"] == [
        "user-service",
        "order-service",
    ]


def test_it_takes_as_long_as_the_slower_one(front: Front, script: Script) -> None:
    asked_both = threading.Barrier(2)

    def when_both_are_asked(_: bytes, connection: object) -> None:
        asked_both.wait(5)  # one after the other, the first would wait in vain
        connection.sendall(answering())  # type: ignore[attr-defined]

    users, orders = script(when_both_are_asked), script(when_both_are_asked)
    gateway = front(USER_SERVICE_URL=users.url, ORDER_SERVICE_URL=orders.url)
    assert not gateway.http.get("/api/dashboard").json()["partial"]


def test_a_list_too_large_to_hold_is_not_called_unavailable(front: Front, script: Script) -> None:
    good, large = script(answering()), script(answering(b"[" + b" " * MAX_ANSWER_BYTES + b"]"))
    gateway = front(good.url, ORDER_SERVICE_URL=large.url)
    assert gateway.http.get("/api/dashboard").json() == {
        "users": [],
        "orders": None,
        "partial": True,
        "unavailable": [],
        "tooLarge": ["order-service"],
    }
    refused = gateway.http.get("/api/orders")
    assert (refused.status_code, f"over {MAX_ANSWER_BYTES} bytes" in refused.text) == (502, True)


@pytest.mark.parametrize(
    "behave",
    [
        answering(b"[", 200),
        answering(b"<html>", 200),
        answering(b'{"users":1}', 200),
        answering(b"[NaN]", 200),
        answering(b'["\xff"]', 200),
        answering(b"[]", 500),
        answering(b"[]", 404),
        scripted.hang,
        scripted.reset,
        breaking_off(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n[]"),
    ],
)
def test_what_is_no_list_is_unavailable_and_spoils_nothing(
    front: Front, script: Script, behave: Behaviour | bytes
) -> None:
    good, bad = script(answering(b'[{"id":"user-1"}]')), script(behave)
    gateway = front(good.url, ORDER_SERVICE_URL=bad.url, UPSTREAM_TIMEOUT_SECONDS=0.8)
    answer = gateway.http.get("/api/dashboard").json()
    assert (answer["users"], answer["orders"]) == ([{"id": "user-1"}], None)
    assert (answer["partial"], answer["unavailable"]) == (True, ["order-service"])
