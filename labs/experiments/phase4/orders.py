"""Orders: placing some, and what the services themselves say became of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx
import pandas as pd

from environment.waiting import wait_until

if TYPE_CHECKING:
    from environment import Environment

ITEMS = [{"productId": "prod-1", "quantity": 1, "price": 19.99}]
"""What every order asks for."""

ANSWER_SECONDS = 10.0


def place(env: Environment, count: int, *, user: str = "user-1") -> list[str]:
    """Place `count` orders, one after the other; return their ids once each was accepted."""
    url, body = f"{env['order-service'].url}/orders", {"userId": user, "items": ITEMS}
    with httpx.Client(timeout=ANSWER_SECONDS) as client:
        return [client.post(url, json=body).raise_for_status().json()["id"] for _ in range(count)]


def all_orders(env: Environment) -> pd.DataFrame:
    """Every order, by order-service: `order` (id), `user`, `status`, `created` (unix seconds)."""
    found = get(env, "order-service", "/orders")
    table = pd.DataFrame(found, columns=["id", "userId", "status", "createdAt"])
    created = pd.to_datetime(table.pop("createdAt"), utc=True, format="ISO8601")
    table.columns = pd.Index(["order", "user", "status"])
    return table.assign(created=[moment.timestamp() for moment in created])


def charges(env: Environment) -> Counter[str]:
    """How often each order was charged, by payment-service's ledger."""
    return Counter(
        charge["orderId"] for charge in get(env, "payment-service", "/ledger")["charges"]
    )


def get(env: Environment, service: str, path: str) -> Any:
    """What a service answers. Raises when it does not."""
    answer = httpx.get(env[service].url + path, timeout=ANSWER_SECONDS)
    return answer.raise_for_status().json()


def drained(env: Environment, group: str, *, seconds: float = 30) -> bool:
    """Wait until a group has done all that its topics hold; whether it has, within `seconds`."""
    return bool(
        wait_until(lambda: env.kafka.lag(group)["lag"].sum() == 0, timeout=seconds, every=0.1)
    )
