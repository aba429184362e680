"""What the records of one order may not say together, and what they may."""

from typing import Any

import pytest

from labs.contradictions import Records, always, at_rest
from tests.labs.events import COMPLETED, ITEMS, PRICE, SOLD_OUT, UNPAID, chain, event

OWN: dict[str, Any] = {"user": "ada", "total": PRICE, "items": ITEMS}
PAID: dict[str, Any] = OWN | {"charges": [PRICE]}
REFUNDED = event("PaymentRefunded", "inventoryfailed")

RIGHT = {
    "completed": Records("o-1", "completed", **PAID, events=chain(COMPLETED)),
    "payment failed": Records("o-1", "cancelled", **OWN, events=chain(UNPAID)),
    "inventory failed": Records(
        "o-1", "cancelled", **PAID, refunds=[PRICE], events=chain(SOLD_OUT, REFUNDED)
    ),
    "deadline": Records(
        "o-1", "cancelled", **OWN, events=chain(["OrderCreated", "OrderCancelled"])
    ),
    "charged after the deadline": Records(
        "o-1",
        "cancelled",
        **PAID,
        refunds=[PRICE],
        events=chain(
            ["OrderCreated", "PaymentCompleted"],
            event("OrderCancelled", "ordercreated"),
            event("PaymentRefunded", "ordercancelled"),
        ),
    ),
    "pending": Records("o-1", "pending", **OWN, events=chain(["OrderCreated"])),
}


def found(records: Records) -> set[str]:
    return {*always(records), *at_rest(records)}


def changed(name: str, **values: Any) -> Records:
    return Records(**{**vars(RIGHT[name]), **values})


def with_event(name: str, kind: str, cause: str | None = "ordercreated", **values: Any) -> Records:
    return changed(name, events=[*RIGHT[name].events, event(kind, cause, **values)])


@pytest.mark.parametrize("name", RIGHT)
def test_every_right_end_has_no_contradiction(name: str) -> None:
    assert found(RIGHT[name]) == set()


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        (changed("completed", charges=[PRICE, PRICE]), "charged 2 times"),
        (changed("inventory failed", refunds=[PRICE, PRICE]), "refunded 2 times"),
        (changed("inventory failed", refunds=[2000]), "refunded 20.00 of a charge of 19.99"),
        (changed("payment failed", refunds=[PRICE]), "refunded 19.99 of a charge of 0.00"),
        (changed("completed", charges=[1998]), "charged 19.98, and its total is 19.99"),
        (changed("payment failed", charges=[PRICE]), "charged, and PaymentFailed was published"),
        (
            changed("completed", charges=[]),
            "PaymentCompleted was published, and the ledger has no charge",
        ),
        (
            with_event("completed", "PaymentRefunded"),
            "PaymentRefunded was published, and the ledger has no refund",
        ),
        (
            with_event("completed", "OrderConfirmed", event="another"),
            "OrderConfirmed was published by 2 different events",
        ),
        (
            with_event("completed", "OrderCancelled"),
            "OrderConfirmed and OrderCancelled were both published",
        ),
        (
            with_event("inventory failed", "InventoryReserved"),
            "InventoryReserved and InventoryFailed were both published",
        ),
        (
            changed("completed", status="pending"),
            "OrderConfirmed was published, and the order is pending",
        ),
        (
            with_event("pending", "PaymentFailed", correlation="c-2"),
            "its events have 2 correlation ids",
        ),
        *(
            (
                with_event("pending", "PaymentFailed", data={"amount": amount}),
                "PaymentFailed has another amount than its total of 19.99",
            )
            for amount in (-1, 0, 2**63, 19.98, "19.99", None, True, float("nan"))
        ),
        (
            with_event("completed", "NotificationRequested", data={"userId": "eve"}),
            "NotificationRequested names another customer",
        ),
        (
            with_event("pending", "InventoryFailed", data={"items": [ITEMS[0] | {"quantity": -1}]}),
            "InventoryFailed has other items than the order",
        ),
        (
            changed("completed", status=""),
            "order-service never took it, and it has a charge and events (InventoryReserved, OrderConfirmed, "
            "OrderCreated, PaymentCompleted)",
        ),
        (Records("o-2", refunds=[1]), "order-service never took it, and it has a refund"),
    ],
)
def test_what_is_wrong_at_any_moment_is_named(records: Records, sentence: str) -> None:
    assert sentence in set(always(records))


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        (changed("completed", charges=[]), "completed, and not charged"),
        (changed("completed", charges=[1000]), "completed, and 9.99 of its total is missing"),
        (
            changed("completed", refunds=[PRICE]),
            "completed, and 19.99 of its total is missing",
        ),
        (changed("inventory failed", refunds=[]), "cancelled, and 19.99 is not refunded"),
        (changed("inventory failed", refunds=[1998]), "cancelled, and 0.01 is not refunded"),
        (
            changed("completed", events=chain(COMPLETED[:3])),
            "completed, and no OrderConfirmed was published",
        ),
        (
            changed("completed", events=chain([*COMPLETED[:2], "OrderConfirmed"])),
            "completed, and nothing was reserved",
        ),
        (
            changed("inventory failed", events=chain(SOLD_OUT)),
            "refunded, and no PaymentRefunded was published",
        ),
        (
            with_event("payment failed", "NotificationRequested", "nothing"),
            "NotificationRequested follows from no event of this order",
        ),
        (
            with_event("payment failed", "NotificationRequested", None),
            "NotificationRequested follows from no event of this order",
        ),
    ],
)
def test_what_is_wrong_at_rest_is_named_then(records: Records, sentence: str) -> None:
    assert sentence in set(at_rest(records))


def test_an_order_that_is_pending_is_never_wrong_at_rest() -> None:
    assert set(at_rest(changed("pending", charges=[PRICE]))) == set()


@pytest.mark.parametrize(
    ("name", "stock"),
    [("completed", "sold"), ("inventory failed", "failed"), ("payment failed", "")],
)
def test_the_state_of_the_items_follows_from_the_events(name: str, stock: str) -> None:
    assert RIGHT[name].stock == stock


def test_items_are_reserved_until_the_order_ends() -> None:
    reserved = changed("completed", status="pending", events=chain(COMPLETED[:3]))
    assert reserved.stock == "reserved"
    cancelled = event("OrderCancelled", "ordercreated")
    assert changed("completed", events=[*reserved.events, cancelled]).stock == "released"
