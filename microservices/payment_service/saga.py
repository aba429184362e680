"""The saga as payment-service sees it: one charge for an order, which goes back when the order is cancelled."""

from microservices.kit.saga import CONTRADICTION, Step, Table, decide

__all__ = ["FIRST", "TABLE", "decide"]

FIRST = "none"
"""The state of an order that payment-service has not met."""

REFUSED = Step("failed", ("PaymentFailed",))
BARRED = Step("barred")
"""A tombstone: the order was cancelled before its OrderCreated arrived, and will never be charged."""

TABLE: Table = {
    ("none", "OrderCreated"): Step("charged", ("PaymentCompleted",), if_fails=REFUSED),
    ("none", "InventoryFailed"): BARRED,
    ("none", "OrderCancelled"): BARRED,
    ("charged", "InventoryFailed"): Step("owed"),
    ("charged", "OrderCancelled"): Step("owed"),
    ("charged", "OrderConfirmed"): Step("settled"),
    ("owed", "refund"): Step(
        "refunded", ("PaymentRefunded",)
    ),  # by the worker, when the bank has paid back
    ("none", "OrderConfirmed"): CONTRADICTION,
    ("owed", "OrderConfirmed"): CONTRADICTION,
    ("failed", "OrderConfirmed"): CONTRADICTION,
    ("barred", "OrderConfirmed"): CONTRADICTION,
    ("refunded", "OrderConfirmed"): CONTRADICTION,
}
