"""The saga as inventory-service sees it: items are set aside, and then sold or put back."""

from microservices.kit.saga import CONTRADICTION, Step, Table, decide

__all__ = ["FIRST", "TABLE", "decide"]

FIRST = "none"
"""The state of an order that inventory-service has not met."""

SOLD_OUT = Step("failed", ("InventoryFailed",))
BARRED = Step("barred")
"""A tombstone: the order was cancelled before its PaymentCompleted arrived, and nothing is set aside for it."""

TABLE: Table = {
    ("none", "PaymentCompleted"): Step("reserved", ("InventoryReserved",), if_fails=SOLD_OUT),
    ("none", "OrderCancelled"): BARRED,
    ("reserved", "OrderCancelled"): Step("released"),
    ("reserved", "OrderConfirmed"): Step("sold"),
    ("none", "OrderConfirmed"): CONTRADICTION,
    ("failed", "OrderConfirmed"): CONTRADICTION,
    ("barred", "OrderConfirmed"): CONTRADICTION,
    ("released", "OrderConfirmed"): CONTRADICTION,
    ("sold", "OrderCancelled"): CONTRADICTION,
}
