"""Orders as phase 5 places them, and the reason why each was cancelled."""

import json
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from labs.experiments.phase5 import orders
from labs.experiments.phase5.names import DEADLINE, INVENTORY_FAILED, ORDERS, PAYMENT_FAILED
from tests.labs.experiments.phase4.test_orders import answer
from tests.labs.servers import UNAVAILABLE, Server, serving


def test_an_order_is_placed_for_each_key() -> None:
    with serving(Server(answer({"id": "o-1"}))) as server:
        env: Any = {ORDERS: SimpleNamespace(url=server.url.rstrip("/"))}
        assert orders.place(env, ["k0", "k1"], user="ada") == {"k0": "o-1", "k1": "o-1"}
    assert sorted(
        line
        for request in server.requests
        for line in request.decode().split("\r\n")
        if "Key" in line
    ) == ["Idempotency-Key: k0", "Idempotency-Key: k1"]


def test_an_order_that_is_refused_is_left_out() -> None:
    with serving(Server(UNAVAILABLE)) as server:
        env: Any = {ORDERS: SimpleNamespace(url=server.url.rstrip("/"))}
        assert orders.place(env, ["k0"], user="ada") == {}
    assert orders.place(env, ["k0"], user="ada") == {}


def event(id: str, order: str, cause: str | None) -> dict[str, Any]:
    return {"eventId": id, "causationId": cause, "data": {"orderId": order}}


TOPICS = {
    "order-created": [event("c-1", "o-1", None), event("c-2", "o-2", None)],
    "payment-failed": [event("p-1", "o-1", "c-1")],
    "inventory-failed": [event("i-3", "o-3", "p-3")],
    "order-cancelled": [
        event("x-1", "o-1", "p-1"),
        event("x-2", "o-2", "c-2"),
        event("x-3", "o-3", "i-3"),
        event("forged", "o-4", "p-1"),
    ],
}


def read(topic: str, *, limit: int) -> pd.DataFrame:
    rows = [{"topic": topic, "value": json.dumps(each)} for each in TOPICS[topic]]
    return pd.DataFrame(rows).assign(partition=0, offset=0, time=pd.Timestamp(0, tz="UTC"))


def test_the_event_that_caused_a_cancel_is_its_reason() -> None:
    statuses = {"o-1": "cancelled", "o-2": "cancelled", "o-3": "cancelled", "o-4": "completed"}
    shown = [
        {"id": id, "status": status, "total": 19.99, "createdAt": "2026-01-01T00:00:00.000Z"}
        for id, status in statuses.items()
    ]
    with serving(Server(answer([*shown, shown[0] | {"id": "o-5", "status": "pending"}]))) as server:

        class System(dict[str, Any]):
            kafka = SimpleNamespace(read=read)

        env: Any = System({ORDERS: SimpleNamespace(url=server.url.rstrip("/"))})
        assert orders.read_outcomes(env) == {
            "o-1": PAYMENT_FAILED,
            "o-2": DEADLINE,
            "o-3": INVENTORY_FAILED,
            "o-4": "completed",
            "o-5": "pending",
        }
        assert orders.read_orders(env)["total"].unique().tolist() == [1999]


@pytest.mark.parametrize(("amount", "cents"), [(19.99, 1999), (0, 0), (1.1, 110)])
def test_an_amount_is_whole_cents(amount: float, cents: int) -> None:
    assert orders.cents(amount) == cents
