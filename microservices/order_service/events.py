"""The events of an order."""

from typing import Any

from sqlalchemy import Row

from microservices.kit.events.event_types import (
    Data,
    NotificationRequested,
    OrderConfirmed,
    OrderCreated,
)
from microservices.order_service.model import NewOrder


def created(order: dict[str, Any], new: NewOrder) -> OrderCreated:
    """Return the event of a new order."""
    return OrderCreated.new(
        order_id=order["id"],
        user_id=order["user_id"],
        items=new.items,
        total_cents=order["total_cents"],
    )


def completed(order: Row[Any]) -> list[Data]:
    """Return the events of an order that ended well."""
    notification = {"user_id": order.user_id, "template": "order-completed"}
    return [
        OrderConfirmed.new(order_id=order.id),
        NotificationRequested.new(order_id=order.id, **notification),
    ]
