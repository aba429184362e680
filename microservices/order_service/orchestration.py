"""The saga of order-service as the orchestrator: it asks each participant in turn, and keeps how far an order is."""

from microservices.kit.saga import Step, Table

__all__ = ["FIRST", "PUBLISHED_FIRST", "TABLE"]

FIRST = "charging"
"""The state of a new order, whose status is `pending`."""

PUBLISHED_FIRST = ("OrderCreated", "ChargeRequested")
"""What is published with a new order: the report to all other services, and the first command."""

END = ("OrderCancelled", "NotificationRequested")

TABLE: Table = {
    ("charging", "PaymentCompleted"): Step("reserving", ("ReserveRequested",)),
    ("charging", "PaymentFailed"): Step("cancelled", END),
    # The command may be under way, done or lost: only payment-service can make sure that nothing stays charged.
    ("charging", "deadline"): Step("cancelled", ("RefundRequested", *END)),
    ("reserving", "InventoryReserved"): Step(
        "completed", ("OrderConfirmed", "NotificationRequested")
    ),
    ("reserving", "InventoryFailed"): Step("cancelled", ("RefundRequested", *END)),
    ("reserving", "deadline"): Step("cancelled", ("RefundRequested", "ReleaseRequested", *END)),
}
