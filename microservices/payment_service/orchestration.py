"""The orchestrated saga as payment-service sees it: it charges and refunds when order-service asks it to."""

from microservices.kit.saga import CONTRADICTION, Step, Table
from microservices.payment_service.saga import BARRED, FIRST, REFUSED

__all__ = ["FIRST", "TABLE"]

TABLE: Table = {
    ("none", "ChargeRequested"): Step("charged", ("PaymentCompleted",), if_fails=REFUSED),
    # An orchestrator that gives up cannot find out whether its command arrived: the tombstone is needed here too.
    ("none", "RefundRequested"): BARRED,
    ("charged", "RefundRequested"): Step("owed"),
    ("charged", "OrderConfirmed"): Step("settled"),
    ("owed", "refund"): Step("refunded", ("PaymentRefunded",)),
    ("none", "OrderConfirmed"): CONTRADICTION,
    ("owed", "OrderConfirmed"): CONTRADICTION,
    ("failed", "OrderConfirmed"): CONTRADICTION,
    ("barred", "OrderConfirmed"): CONTRADICTION,
    ("refunded", "OrderConfirmed"): CONTRADICTION,
}
