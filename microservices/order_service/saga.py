"""The saga as order-service sees it: an order ends once, well or not, and the end is published."""

from microservices.kit.saga import Step, Table, decide

__all__ = ["FIRST", "PUBLISHED_FIRST", "TABLE", "decide"]

FIRST = "pending"
"""The state of a new order."""

PUBLISHED_FIRST = ("OrderCreated",)
"""What is published with a new order."""

CANCELLED = Step("cancelled", ("OrderCancelled", "NotificationRequested"))

TABLE: Table = {
    ("pending", "PaymentFailed"): CANCELLED,
    ("pending", "InventoryFailed"): CANCELLED,
    ("pending", "InventoryReserved"): Step(
        "completed", ("OrderConfirmed", "NotificationRequested")
    ),
    ("pending", "deadline"): CANCELLED,
    # An order that has ended stays as it is. A success that comes after the deadline finds a cancelled order, and
    # OrderCancelled makes the others undo what they did.
}
