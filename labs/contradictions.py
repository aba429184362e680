"""Contradictions: what the records of one order may not say together, each as a sentence.

The records are order-service's list, payment-service's ledger, and the events in the topics. Some contradictions are
wrong at any moment. Others count once nothing of the order is under way any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

EXCLUSIVE = (
    ("PaymentCompleted", "PaymentFailed"),
    ("InventoryReserved", "InventoryFailed"),
    ("OrderConfirmed", "OrderCancelled"),
)
"""Pairs of events of which an order has one at most."""

ENDS = {"OrderConfirmed": "completed", "OrderCancelled": "cancelled"}
"""The status of an order by the event that ends it."""

AMOUNTS = {
    "OrderCreated": "total",
    "PaymentCompleted": "amount",
    "PaymentFailed": "amount",
    "PaymentRefunded": "amount",
}
"""The field of an event that holds the order's total."""

FIRST = "OrderCreated"

Event = Mapping[str, Any]
"""A row of `labs.published`."""


@dataclass(frozen=True)
class Records:
    """What is recorded of one order, amounts in cents. `status` is empty for an order that order-service never took."""

    order: str
    status: str = ""
    user: str = ""
    total: int = 0
    items: Any = None
    charges: Sequence[int] = ()
    refunds: Sequence[int] = ()
    events: Sequence[Event] = field(default=())

    @property
    def net(self) -> int:
        """The charges without the refunds."""
        return sum(self.charges) - sum(self.refunds)

    @property
    def expected(self) -> int:
        """What the net amount has to be in the end: the total of a completed order, else nothing."""
        return self.total if self.status == "completed" else 0

    def of(self, kind: str) -> list[Event]:
        """Return the events of a type."""
        return [event for event in self.events if event["type"] == kind]

    @property
    def stock(self) -> str:
        """What became of the items, by the events: reserved, sold, released or failed; empty before that."""
        if self.of("InventoryReserved"):
            if self.of("OrderConfirmed"):
                return "sold"
            return "released" if self.of("OrderCancelled") else "reserved"
        return "failed" if self.of("InventoryFailed") else ""


def always(records: Records) -> Iterator[str]:
    """Yield what is wrong at any moment."""
    if not records.status:
        kinds = sorted({event["type"] for event in records.events})
        what = " and ".join(
            [*(["a charge"] if records.charges else []), *(["events"] if kinds else [])]
        )
        yield f"order-service never took it, and it has {what or 'a refund'}" + _list(kinds)
        return
    yield from _wrong_entries(records)
    yield from _wrong_events(records)
    yield from _wrong_data(records)


def _wrong_entries(records: Records) -> Iterator[str]:
    if len(records.charges) > 1:
        yield f"charged {len(records.charges)} times"
    if len(records.refunds) > 1:
        yield f"refunded {len(records.refunds)} times"
    if records.net < 0:
        yield f"refunded {money(sum(records.refunds))} of a charge of {money(sum(records.charges))}"
    for charge in records.charges:
        if charge != records.total:
            yield f"charged {money(charge)}, and its total is {money(records.total)}"
    if records.charges and records.of("PaymentFailed"):
        yield "charged, and PaymentFailed was published"
    if records.of("PaymentCompleted") and not records.charges:
        yield "PaymentCompleted was published, and the ledger has no charge"
    if records.of("PaymentRefunded") and not records.refunds:
        yield "PaymentRefunded was published, and the ledger has no refund"


def _wrong_events(records: Records) -> Iterator[str]:
    kinds = Counter(event["type"] for event in records.events)
    for kind, times in sorted(kinds.items()):
        if times > 1:
            yield f"{kind} was published by {times} different events"
    for one, other in EXCLUSIVE:
        if kinds[one] and kinds[other]:
            yield f"{one} and {other} were both published"
    for kind, status in ENDS.items():
        if kinds[kind] and records.status != status:
            yield f"{kind} was published, and the order is {records.status}"
    correlations = {event["correlation"] for event in records.events}
    if len(correlations) > 1:
        yield f"its events have {len(correlations)} correlation ids"


def _wrong_data(records: Records) -> Iterator[str]:
    for event in records.events:
        kind, data = event["type"], event["data"]
        if kind in AMOUNTS and not _is_total(data.get(AMOUNTS[kind]), records.total):
            yield f"{kind} has another amount than its total of {money(records.total)}"
        if "userId" in data and data["userId"] != records.user:
            yield f"{kind} names another customer"
        if "items" in data and data["items"] != records.items:
            yield f"{kind} has other items than the order"


def _is_total(amount: object, total: int) -> bool:
    number = isinstance(amount, int | float) and not isinstance(amount, bool)
    return number and amount == total / 100


def at_rest(records: Records) -> Iterator[str]:
    """Yield what is wrong once nothing of the order is under way."""
    if records.status not in ENDS.values():
        return
    if 0 <= records.net != records.expected:
        yield _wrong_net(records)
    for kind, status in ENDS.items():
        if records.status == status and not records.of(kind):
            yield f"{status}, and no {kind} was published"
    if records.status == "completed" and not records.of("InventoryReserved"):
        yield "completed, and nothing was reserved"
    if records.refunds and not records.of("PaymentRefunded"):
        yield "refunded, and no PaymentRefunded was published"
    known = {event["event"] for event in records.events}
    for event in records.events:
        if event["type"] != FIRST and event["cause"] not in known:
            yield f"{event['type']} follows from no event of this order"


def _wrong_net(records: Records) -> str:
    if records.status == "cancelled":
        return f"cancelled, and {money(records.net)} is not refunded"
    if not records.charges:
        return "completed, and not charged"
    return f"completed, and {money(records.total - records.net)} of its total is missing"


def money(cents: int) -> str:
    """Return an amount as a person reads it."""
    return f"{cents / 100:,.2f}"


def _list(kinds: Sequence[str]) -> str:
    return f" ({', '.join(kinds)})" if kinds else ""
