"""The services, topics and outcomes of phase 5, as its experiments name them."""

from __future__ import annotations

import re

ORDERS, PAYMENTS, INVENTORY = "order-service", "payment-service", "inventory-service"
ANALYTICS, NOTIFICATIONS = "analytics-service", "notification-service"

PARTICIPANTS = (ORDERS, PAYMENTS, INVENTORY)
"""The services that take part in a saga."""

CREATED, CONFIRMED, CANCELLED = "order-created", "order-confirmed", "order-cancelled"
PAID, UNPAID, REFUNDED = "payment-completed", "payment-failed", "payment-refunded"
RESERVED, UNRESERVED = "inventory-reserved", "inventory-failed"
REFUNDED = "payment-refunded"
"""The topics of a saga."""

READS = {
    ORDERS: (UNPAID, UNRESERVED, RESERVED),
    PAYMENTS: (CREATED, UNRESERVED, CONFIRMED, CANCELLED),
    INVENTORY: (PAID, CONFIRMED, CANCELLED),
}
"""The topics that each participant reads."""

REFUND, SWEEP = "refund", "deadline"
"""What a participant does by itself, as its points name it."""

COMMANDS = ("charge-requested", "refund-requested", "reserve-requested", "release-requested")
"""The topics of an orchestrator's commands."""

COMPLETED = "completed"
PAYMENT_FAILED, INVENTORY_FAILED = "payment failed", "inventory failed"
OUTCOMES = (COMPLETED, PAYMENT_FAILED, INVENTORY_FAILED)
"""How a saga ends when every participant answers in time."""

DEADLINE = "deadline"
"""The outcome of an order that order-service cancelled because no answer came in time."""


def short(service: str) -> str:
    """Return a participant's name in the checker: `order` of `order-service`."""
    return service.removesuffix("-service")


def topic_of(event: str) -> str:
    """Return the topic of an event type: `order-created` of `OrderCreated`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", event).lower()


def event_of(topic: str) -> str:
    """Return the event type of a topic: `OrderCreated` of `order-created`."""
    return topic.title().replace("-", "")


def group_of(service: str) -> str:
    """Return the consumer group of a service; that of a view names its version."""
    return f"{service}-2-group" if service == ANALYTICS else f"{service}-group"
