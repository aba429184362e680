"""Poison: messages among the payments that order-service cannot use."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from labs.experiments.phase4.names import PAID
from labs.experiments.phase4.orders import ITEMS

if TYPE_CHECKING:
    from environment import Environment

UNKNOWN, UNREADABLE = "of no order", "unreadable"
"""A retry may help a payment whose order does not exist yet; none helps a message that cannot be read."""


def publish_poison(env: Environment, partition: int, kind: str) -> dict[str, Any]:
    """Publish one message that cannot be used; return what was sent, and where it lies."""
    order = str(uuid.uuid4())
    value = payment(order) if kind == UNKNOWN else "a payment, but not in JSON"
    sent = env.kafka.produce(PAID, value, key=order, partition=partition).iloc[0]
    place = {name: int(sent[name]) for name in ("partition", "offset")}
    arrived = sent["time"].timestamp()
    return {"kind": kind, "order": order, "value": value, "arrived": arrived, **place}


def payment(order: str) -> str:
    """Return a PaymentCompleted of an order, as payment-service publishes it."""
    amount = sum(item["price"] * item["quantity"] for item in ITEMS)  # type: ignore[operator]
    return json.dumps(
        {
            "eventType": "PaymentCompleted",
            "eventId": str(uuid.uuid4()),
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "correlationId": f"lab-{order}",
            "causationId": None,
            "version": 1,
            "data": {"orderId": order, "paymentId": order, "amount": amount, "items": ITEMS},
        }
    )
