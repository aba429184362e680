"""The orchestrated saga as inventory-service sees it: it reserves and releases when order-service asks it to."""

from microservices.inventory_service.saga import BARRED, FIRST, SOLD_OUT
from microservices.kit.saga import CONTRADICTION, Step, Table

__all__ = ["FIRST", "TABLE"]

TABLE: Table = {
    ("none", "ReserveRequested"): Step("reserved", ("InventoryReserved",), if_fails=SOLD_OUT),
    ("none", "ReleaseRequested"): BARRED,
    ("reserved", "ReleaseRequested"): Step("released"),
    ("reserved", "OrderConfirmed"): Step("sold"),
    ("none", "OrderConfirmed"): CONTRADICTION,
    ("failed", "OrderConfirmed"): CONTRADICTION,
    ("barred", "OrderConfirmed"): CONTRADICTION,
    ("released", "OrderConfirmed"): CONTRADICTION,
    ("sold", "ReleaseRequested"): CONTRADICTION,
}
