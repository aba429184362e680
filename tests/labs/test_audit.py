"""The audit of readings: what is under way, what contradicts, and what came late."""

from typing import Any

import pytest

from labs import audit
from labs.audit import Reading, contradictions, records_of, refund_seconds, under_way, verdict_of
from labs.contradictions import Records
from tests.labs.events import BEGAN, COMPLETED, ITEMS, SOLD_OUT, chain, event, frame

ORDER = {"id": "o-1", "userId": "ada", "items": ITEMS, "total": 19.99}
CHARGE = {"orderId": "o-1", "amount": 19.99}
ACCOUNTS = {"customers": -19.99, "shop": 19.99, "owed": 0.0}


def records(status: str, rows: Any, *, charges: Any = (CHARGE,), refunds: Any = ()) -> Records:
    ledger = {"charges": list(charges), "refunds": list(refunds)}
    return records_of([ORDER | {"status": status}], ledger, frame(rows))["o-1"]


def reading(one: Records, **values: Any) -> Reading:
    quiet: dict[str, Any] = {
        "unread": {},
        "letters": {},
        "unpublished": 0.0,
        "balances": ACCOUNTS,
        "reserved": {"prod-1": 0},
        "at": BEGAN + 20,
    }
    return Reading({"o-1": one}, **(quiet | values))


KEPT = records("cancelled", chain(SOLD_OUT))


def test_a_cancelled_order_that_keeps_its_charge_contradicts_at_rest() -> None:
    found = contradictions(reading(KEPT))
    assert found == {"o-1": ["cancelled, and 19.99 is not refunded"]}
    letters = {"o-1": ["a dead letter of payment-service-group came from order-cancelled"]}
    assert verdict_of(KEPT, found["o-1"], reading(KEPT, letters=letters)) == (
        "contradiction: cancelled, and 19.99 is not refunded; "
        "a dead letter of payment-service-group came from order-cancelled"
    )


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"unread": {"o-1": "payment-service has not read OrderCancelled"}},
            "payment-service has not read OrderCancelled",
        ),
        ({"unpublished": 1.0}, "events wait in an outbox"),
        ({"balances": ACCOUNTS | {"owed": 19.99}}, "its refund is owed for 20 s"),
    ],
)
def test_what_is_under_way_does_not_contradict_yet(values: dict[str, Any], sentence: str) -> None:
    look = reading(KEPT, **values)
    assert under_way(KEPT, look) == sentence
    assert contradictions(look) == {}
    assert verdict_of(KEPT, [], look) == f"under way: {sentence}"


def test_a_pending_order_is_under_way_with_its_age() -> None:
    pending = records("pending", chain(["OrderCreated"]), charges=())
    assert verdict_of(pending, [], reading(pending)) == "under way: pending for 20 s"


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [
        (1, "right"),
        (31, "right; its refund came 31 s after the first reason for it"),
    ],
)
def test_a_refund_that_came_late_is_shown(seconds: int, verdict: str) -> None:
    paid = event("PaymentRefunded", "ordercancelled", at=BEGAN + 0.02 + seconds)
    refunded = records("cancelled", chain(SOLD_OUT, paid), refunds=[CHARGE])
    assert refund_seconds(refunded) == pytest.approx(seconds)
    assert verdict_of(refunded, [], reading(refunded)) == verdict


@pytest.mark.parametrize(
    ("values", "sentences"),
    [
        ({}, []),
        ({"balances": ACCOUNTS | {"shop": 20.0}}, ["the balances of the ledger add up to 0.01"]),
        (
            {"balances": {"customers": -19.99, "shop": 10.0, "owed": 9.99}},
            ["9.99 is owed, and no order waits for it"],
        ),
        (
            {"reserved": {"prod-1": 2}},
            ["2 of prod-1 are reserved, and no order waits for them"],
        ),
        ({"reserved": {"prod-1": 2}, "unpublished": 1.0}, []),
    ],
)
def test_the_books_as_a_whole_add_up(values: dict[str, Any], sentences: list[str]) -> None:
    completed = records("completed", chain(COMPLETED))
    assert audit.wrong_books(reading(completed, **values)) == sentences


def test_a_charge_without_an_order_and_an_event_have_rows() -> None:
    stray = event("OrderConfirmed", None, order="o-3")
    found = records_of([], {"charges": [CHARGE], "refunds": []}, frame([stray]))
    assert set(found) == {"o-1", "o-3"}
    assert not any(each.status for each in found.values())


def test_a_contradiction_counts_when_two_readings_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    right = records("completed", chain(COMPLETED))
    moving = records("completed", chain(COMPLETED), charges=())
    looks = iter([reading(moving), reading(right), reading(moving), reading(moving)])
    monkeypatch.setattr(audit, "_read", lambda _: next(looks))
    monkeypatch.setattr(audit, "AGAIN_SECONDS", 0.01)
    env: Any = type("Shop", (), {"services": list(audit.PARTICIPANTS)})
    assert not audit.audit(env)["contradicts"].any()
    assert audit.audit(env)["contradicts"].all()
