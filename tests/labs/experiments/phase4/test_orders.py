"""Orders as an experiment places and finds them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import pandas as pd
import pytest

from labs.experiments.phase4.orders import ITEMS, all_orders, charges, drained, place
from tests.labs.servers import UNAVAILABLE, Server, serving


def answer(body: Any) -> bytes:
    text = json.dumps(body).encode()
    head = (
        f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n"
    )
    return head.encode() + text


@contextmanager
def system(response: bytes) -> Iterator[tuple[Any, Server]]:
    """An environment in which every service answers the same."""
    with serving(Server(response)) as server:
        service = SimpleNamespace(url=server.url.rstrip("/"))
        yield {"order-service": service, "payment-service": service}, server


def test_the_given_number_of_orders_is_placed() -> None:
    with system(answer({"id": "o-1"})) as (env, server):
        assert place(env, 3, user="ada") == ["o-1"] * 3
    bodies = [json.loads(request.partition(b"\r\n\r\n")[2]) for request in server.requests]
    assert bodies == [{"userId": "ada", "items": ITEMS}] * 3


def test_an_order_that_is_not_accepted_is_no_order() -> None:
    with system(UNAVAILABLE) as (env, _), pytest.raises(httpx.HTTPStatusError):
        place(env, 1)


def test_orders_are_rows_with_unix_times() -> None:
    order = {"id": "o-1", "userId": "ada", "items": [], "total": 1, "status": "pending"}
    with system(answer([order | {"createdAt": "2026-01-01T00:00:01.250Z"}])) as (env, _):
        (row,) = all_orders(env).to_dict("records")
    assert (row["order"], row["user"], row["status"]) == ("o-1", "ada", "pending")
    assert row["created"] % 60 == pytest.approx(1.25)
    with system(answer([])) as (env, _):
        assert all_orders(env).empty


def test_an_order_that_was_charged_twice_counts_twice() -> None:
    ledger = {"charges": [{"orderId": order, "amount": 1} for order in ("o-1", "o-2", "o-1")]}
    with system(answer(ledger)) as (env, _):
        counts = charges(env)
    assert (counts["o-1"], counts["o-2"], counts["o-3"]) == (2, 1, 0)


@pytest.mark.parametrize(
    ("lag", "waiting", "done"),
    [([0, 0], 0, True), ([0, 1], 0, False), ([0, 0], 2, False)],
)
def test_a_group_is_done_when_nothing_lags_and_no_outbox_has_events(
    lag: list[int], waiting: int, done: bool
) -> None:
    text = f"# TYPE outbox_events gauge\noutbox_events {waiting}.0\n".encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(text)}\r\n\r\n".encode()

    class Env(dict[str, Any]):
        services = ("order-service", "analytics-service")
        kafka = SimpleNamespace(lag=lambda _: pd.DataFrame({"group": "g", "lag": lag}))

    with serving(Server(head + text)) as server:
        replica = SimpleNamespace(url=server.url.rstrip("/"), ready=True)
        env: Any = Env({"order-service": SimpleNamespace(replicas=[replica])})
        assert drained(env, "g", seconds=1) is done
