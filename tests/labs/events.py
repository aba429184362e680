"""Events of one order as `labs.published` returns them, for tests without a system."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from labs.published import COLUMNS, publisher_of, topic_of

BEGAN = 1.7e9
ITEMS = [{"productId": "prod-1", "quantity": 1, "price": 19.99}]
PRICE = 1999

COMPLETED = ("OrderCreated", "PaymentCompleted", "InventoryReserved", "OrderConfirmed")
UNPAID = ("OrderCreated", "PaymentFailed", "OrderCancelled")
SOLD_OUT = ("OrderCreated", "PaymentCompleted", "InventoryFailed", "OrderCancelled")

DATA: dict[str, dict[str, Any]] = {
    "OrderCreated": {"userId": "ada", "items": ITEMS, "total": 19.99},
    "PaymentCompleted": {"paymentId": "p", "amount": 19.99, "items": ITEMS},
    "PaymentFailed": {"paymentId": "p", "amount": 19.99, "reason": "declined"},
    "PaymentRefunded": {"paymentId": "p", "amount": 19.99},
    "InventoryReserved": {"reservationId": "r", "items": ITEMS},
    "InventoryFailed": {"reason": "sold out", "items": ITEMS},
    "OrderCancelled": {"reason": "declined"},
    "NotificationRequested": {"userId": "ada", "template": "order-completed"},
}


def event(kind: str, cause: str | None, **changes: Any) -> dict[str, Any]:
    """One event of the order o-1; its id is its type in lower case. `data` is added to that of the type."""
    data = {"orderId": "o-1", **DATA.get(kind, {}), **changes.pop("data", {})}
    row = {
        "event": kind.lower(),
        "type": kind,
        "by": publisher_of(kind),
        "at": BEGAN,
        "order": "o-1",
        "correlation": "c-1",
        "cause": cause,
        "trace": "t-1",
        "topic": topic_of(kind),
        "partition": 0,
        "offset": 0,
        "data": data,
    }
    return row | changes


def chain(kinds: Sequence[str], *more: dict[str, Any]) -> list[dict[str, Any]]:
    """Events of which each follows from the one before, ten milliseconds later, and then some others."""
    causes = [None, *map(str.lower, kinds)]
    rows = [
        event(kind, cause, at=BEGAN + number / 100)
        for number, (kind, cause) in enumerate(zip(kinds, causes, strict=False))
    ]
    return [*rows, *more]


def frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """These events as a table."""
    return pd.DataFrame(rows, columns=COLUMNS)
