"""Orders: placing some, a steady stream of them, and what the services report of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pandas as pd

from environment.waiting import wait_until
from labs.client import new_client
from labs.experiments.phase4.names import ORDERS, PAYMENTS
from labs.load.open_loop import Stream
from labs.pages import read_all

if TYPE_CHECKING:
    from environment import Environment

ITEMS = [{"productId": "prod-1", "quantity": 1, "price": 19.99}]
"""The items of every order."""

RESPONSE_SECONDS = 10.0
"""Longest wait for one response."""


def place(env: Environment, count: int, *, user: str = "user-1") -> list[str]:
    """Place `count` orders, one after the other; return their ids once each was accepted."""
    url, body = f"{env[ORDERS].url}/orders", {"userId": user, "items": ITEMS}
    with new_client(RESPONSE_SECONDS) as client:
        return [client.post(url, json=body).raise_for_status().json()["id"] for _ in range(count)]


def order_stream(name: str, env: Environment, *, user: str, rate: float, **more: Any) -> Stream:
    """Return a load of orders, `rate` per second, each by a user of its own: `user`-0, `user`-1, and so on.

    Further keywords are those of `Stream`.
    """
    body = {"userId": user + "-{number}", "items": ITEMS}
    return Stream(name, f"{env[ORDERS].url}/orders", rate=rate, method="POST", body=body, **more)


def all_orders(env: Environment) -> pd.DataFrame:
    """Return every order that order-service lists: `order` (id), `user`, `status`, `created` (unix seconds)."""
    table = pd.DataFrame(
        get(env, ORDERS, "/orders"), columns=["id", "userId", "status", "createdAt"]
    )
    created = pd.to_datetime(table.pop("createdAt"), utc=True, format="ISO8601")
    table.columns = pd.Index(["order", "user", "status"])
    return table.assign(created=[moment.timestamp() for moment in created])


def charges(env: Environment) -> Counter[str]:
    """Return how often each order was charged, by payment-service's ledger."""
    return Counter(charge["orderId"] for charge in get(env, PAYMENTS, "/ledger")["charges"])


def get(env: Environment, service: str, path: str) -> Any:
    """Return the content of a service's response, all of its pages. Raises when it is an error or does not come."""
    with new_client(RESPONSE_SECONDS) as client:
        return read_all(client, env[service].url + path)


def drained(env: Environment, group: str, *, seconds: float = 30) -> bool:
    """Wait until a group has processed all that its topics hold; return whether it has, within `seconds`.

    A lag of 0 is not yet rest: events may still wait in the outbox of a service. So the outboxes have to be empty too,
    and both have to be seen twice in a row.
    """
    seen = 0

    def at_rest() -> bool:
        nonlocal seen
        quiet = unpublished(env) == 0 and env.kafka.lag(group)["lag"].sum() == 0
        seen = seen + 1 if quiet else 0
        return seen == 2

    return bool(wait_until(at_rest, timeout=seconds, every=0.05))


def unpublished(env: Environment) -> float:
    """Return how many events wait in the outboxes of the services that run, by their metric `outbox_events`."""
    publishers = {ORDERS, PAYMENTS} & set(env.services)
    urls = [
        replica.url for name in publishers for replica in env[name].replicas[:1] if replica.ready
    ]
    lines = [line for url in urls for line in _metrics(url) if line.startswith("outbox_events ")]
    return sum(float(line.partition(" ")[2]) for line in lines)


def _metrics(url: str) -> list[str]:
    with new_client(RESPONSE_SECONDS) as client:
        return client.get(f"{url}/metrics").raise_for_status().text.splitlines()
