"""The event types: what can happen. Every event's name and topic is written here, once.

A change of an event's fields is a new version. Its consumers are released before its publishers: a
consumer of an older version publishes the event as a dead letter, until that consumer is replaced by the new version.
"""

from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, PlainSerializer

from microservices.kit.items import Items
from microservices.kit.wire import Amount, Id, Text, WireModel, from_cents

Money = Annotated[Amount, PlainSerializer(from_cents, return_type=float)]
"""An amount: cents in Python, a number with two decimals on the wire."""


class Data(WireModel):
    """The data of an event. Its class is the event's type; `version` is that of its fields."""

    version: ClassVar[int] = 1
    topic: ClassVar[str]

    order_id: Id

    @classmethod
    def new(cls, **fields: Any) -> Self:
        """Return data to publish, from values that need no check: amounts in cents, names as in Python."""
        return cls.model_construct(**fields)


class OrderCreated(Data):
    """A customer has placed an order; it is not paid yet."""

    topic = "order-created"
    user_id: Id
    items: Items
    total_cents: Money = Field(alias="total")


class PaymentCompleted(Data):
    """The order's total was charged."""

    topic = "payment-completed"
    payment_id: Id
    amount_cents: Money = Field(alias="amount")
    items: Items


class PaymentFailed(Data):
    """The payment failed: the order is not charged."""

    topic = "payment-failed"
    payment_id: Id
    amount_cents: Money = Field(alias="amount")
    reason: Text


class PaymentRefunded(Data):
    """The order's charge was refunded."""

    topic = "payment-refunded"
    payment_id: Id
    amount_cents: Money = Field(alias="amount")


class InventoryReserved(Data):
    """The order's items are reserved."""

    topic = "inventory-reserved"
    reservation_id: Id
    items: Items


class InventoryFailed(Data):
    """The order's items are not in stock."""

    topic = "inventory-failed"
    reason: Text
    items: Items


class OrderConfirmed(Data):
    """The order is paid and confirmed."""

    topic = "order-confirmed"


class OrderCancelled(Data):
    """The order was cancelled."""

    topic = "order-cancelled"
    reason: Text


class NotificationRequested(Data):
    """The customer is to be notified of how the order ended."""

    topic = "notification-requested"
    user_id: Id
    template: Id


class ChargeRequested(Data):
    """The orchestrator asks to charge the order's total."""

    topic = "charge-requested"
    items: Items
    total_cents: Money = Field(alias="total")


class RefundRequested(Data):
    """The orchestrator asks to refund the order's charge, or never to charge it."""

    topic = "refund-requested"


class ReserveRequested(Data):
    """The orchestrator asks to reserve the order's items."""

    topic = "reserve-requested"
    items: Items


class ReleaseRequested(Data):
    """The orchestrator asks to put the order's items back, or never to reserve them."""

    topic = "release-requested"


EVENTS: tuple[type[Data], ...] = (
    *(OrderCreated, PaymentCompleted, PaymentFailed, InventoryReserved, InventoryFailed),
    *(OrderConfirmed, OrderCancelled, PaymentRefunded, NotificationRequested),
    *(ChargeRequested, RefundRequested, ReserveRequested, ReleaseRequested),
)


def dead_letter_topic(topic: str) -> str:
    """Return the topic that keeps the messages of `topic` that could not be used."""
    return f"{topic}-dlq"
