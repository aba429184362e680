"""Orders: placing many with a key each, and how each of them ended."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pandas as pd

from labs.client import new_client
from labs.experiments.phase4.events import read_events
from labs.experiments.phase4.orders import get
from labs.experiments.phase5.names import (
    CANCELLED,
    COMPLETED,
    CREATED,
    DEADLINE,
    INVENTORY_FAILED,
    ORDERS,
    PAYMENT_FAILED,
    UNPAID,
    UNRESERVED,
)

if TYPE_CHECKING:
    from environment import Environment

PRODUCT = "prod-1"

ITEMS = [{"productId": PRODUCT, "quantity": 1, "price": 19.99}]
"""The items of every order."""

TOGETHER = 8
"""Clients that place orders at the same time."""

RESPONSE_SECONDS = 10.0
"""Longest wait for one response."""

CAUSES = {UNPAID: PAYMENT_FAILED, UNRESERVED: INVENTORY_FAILED, CREATED: DEADLINE}
"""Why an order was cancelled, by the topic of the event that caused it. A deadline follows from no answer, so its
OrderCancelled names the order's own event."""


def place(env: Environment, keys: Iterable[str], *, user: str) -> dict[str, str]:
    """Place an order of a user for each key, several at a time; return the ids of those that were acknowledged."""
    url, body = f"{env[ORDERS].url}/orders", {"userId": user, "items": ITEMS}
    with new_client(RESPONSE_SECONDS) as client:

        def order(key: str) -> tuple[str, str | None]:
            try:
                response = client.post(url, json=body, headers={"Idempotency-Key": key})
            except httpx.HTTPError:
                return key, None
            return key, response.json()["id"] if response.is_success else None

        with ThreadPoolExecutor(TOGETHER) as pool:
            return {key: id for key, id in pool.map(order, keys) if id is not None}


def read_orders(env: Environment) -> pd.DataFrame:
    """Return every order that order-service lists.

    Columns: `order` (id), `status`, `total` (cents), `created` (unix seconds).
    """
    orders = get(env, ORDERS, "/orders")
    created = pd.to_datetime([order["createdAt"] for order in orders], utc=True, format="ISO8601")
    return pd.DataFrame(
        {
            "order": [order["id"] for order in orders],
            "status": [order["status"] for order in orders],
            "total": [cents(order["total"]) for order in orders],
            "created": [moment.timestamp() for moment in created],
        }
    )


def read_outcomes(env: Environment) -> dict[str, str]:
    """Return the outcome of every order; of one that has not ended, its status.

    Why an order was cancelled is read from the topics: OrderCancelled names the event that caused it.
    """
    caused_by = {
        event: outcome
        for topic, outcome in CAUSES.items()
        for event in read_events(env, topic)["event"]
    }
    cancelled = read_events(env, CANCELLED).set_index("order")["cause"]
    outcomes = dict(read_orders(env)[["order", "status"]].itertuples(index=False, name=None))
    for order, cause in cancelled.items():
        if outcomes.get(order) not in (None, "pending", COMPLETED):
            outcomes[order] = caused_by.get(cause, "cancelled")
    return outcomes


def cents(amount: float) -> int:
    """Return an amount in cents."""
    return round(100 * amount)
