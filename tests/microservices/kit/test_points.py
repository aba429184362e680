"""Points hold, end and poison only what a fault names, and count everything that passes."""

from typing import Any

import pytest
from pydantic import ValidationError

from microservices.kit import points as module
from microservices.kit.points import (
    CRASHED,
    EXIT_CODE,
    FaultPoints,
    PointFaults,
    Points,
    PointsReport,
    Poisoned,
)


class Ended(Exception):
    """In the place of the end of this process."""


def faults(**words: Any) -> PointFaults:
    return PointFaults.model_validate(words)


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> FaultPoints:
    def end_process() -> None:
        raise Ended

    monkeypatch.setattr(module, "end_process", end_process)
    points = FaultPoints()
    points.describe(
        ["order-cancelled", "payment-completed"],
        {
            "begun": ["OrderCancelled", "PaymentCompleted", "deadline"],
            "committed": ["OrderCancelled", "PaymentCompleted", "deadline", "OrderCreated"],
            "sent": ["InventoryReserved"],
        },
    )
    return points


def test_a_service_without_faults_does_nothing_at_a_point() -> None:
    points = Points()
    points.passed("begun", "OrderCancelled")
    points.apply(faults(crash={"at": "begun", "event": "OrderCancelled"}))
    points.passed("begun", "OrderCancelled")
    assert not points.holds("order-cancelled", "a")
    assert not points.holds_relay()
    assert points.report() is None


def test_a_crash_ends_the_process_at_its_point_only(
    points: FaultPoints, caplog: pytest.LogCaptureFixture
) -> None:
    points.apply(faults(crash={"at": "committed", "event": "OrderCancelled"}))
    points.passed("begun", "OrderCancelled")
    points.passed("committed", "PaymentCompleted")
    with pytest.raises(Ended):
        points.passed("committed", "OrderCancelled")
    (line,) = (record for record in caplog.records if record.message == CRASHED)
    assert (line.__dict__["at"], line.__dict__["event"]) == ("committed", "OrderCancelled")
    assert EXIT_CODE == 137


def test_a_crash_lets_as_many_passes_through_as_asked(points: FaultPoints) -> None:
    points.passed("begun", "deadline")  # before the fault: not counted for it
    points.apply(faults(crash={"at": "begun", "event": "deadline", "after": 2}))
    points.passed("begun", "deadline")
    points.passed("begun", "deadline")
    with pytest.raises(Ended):
        points.passed("begun", "deadline")


def test_every_pass_is_counted_also_without_a_fault(points: FaultPoints) -> None:
    for event in ("OrderCancelled", "OrderCancelled", "PaymentCompleted"):
        points.passed("begun", event)
    points.passed("sent", "InventoryReserved")
    points.apply(faults())
    assert points.report().passed == {
        "begun": {"OrderCancelled": 2, "PaymentCompleted": 1},
        "sent": {"InventoryReserved": 1},
    }


def test_a_hold_names_orders_of_a_topic_or_every_one(points: FaultPoints) -> None:
    points.apply(faults(hold={"order-cancelled": ["a"], "payment-completed": ["*"]}))
    assert points.holds("order-cancelled", "a")
    assert not points.holds("order-cancelled", "b")
    assert points.holds("payment-completed", "b")
    assert not points.holds_relay()
    points.apply(faults(hold={"relay": True}))
    assert points.holds_relay()
    points.apply(faults())
    assert not points.holds_relay()
    assert not points.holds("payment-completed", "b")


def test_what_waits_is_reported_until_it_waits_no_longer(points: FaultPoints) -> None:
    points.wait("order-cancelled", "a", begins=True)
    points.wait("order-cancelled", "b", begins=True)
    points.wait("order-cancelled", "b", begins=False)
    report = points.report().model_dump(by_alias=True)
    assert report["held"] == [{"topic": "order-cancelled", "orderId": "a"}]
    PointsReport.model_validate(report)


def test_a_poison_raises_for_its_orders_only(points: FaultPoints) -> None:
    points.apply(faults(poison={"order-cancelled": ["a"]}))
    points.raise_if_poisoned("order-cancelled", "b")
    points.raise_if_poisoned("payment-completed", "a")
    with pytest.raises(Poisoned, match="order a"):
        points.raise_if_poisoned("order-cancelled", "a")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({"hold": {"order-created": ["*"]}}, "consumes no 'order-created'"),
        ({"poison": {"order-created": ["*"]}}, "it consumes: order-cancelled, payment-completed"),
        ({"poison": {"relay": ["*"]}}, "consumes no 'relay'"),
        ({"crash": {"at": "sent", "event": "OrderCancelled"}}, "these do: InventoryReserved"),
        ({"crash": {"at": "begun", "event": "OrderCreated"}}, "'OrderCreated' passes the point"),
    ],
)
def test_a_name_that_this_service_lacks_is_refused(
    points: FaultPoints, words: dict[str, Any], reason: str
) -> None:
    assert reason in str(points.refusal(faults(**words)))


@pytest.mark.parametrize(
    "words",
    [
        {"hold": {"order-cancelled": ["*"], "relay": True}},
        {"crash": {"at": "committed", "event": "OrderCreated"}},
        {"poison": {"payment-completed": ["a", "b"]}},
        {"overdue": ["*"]},
        {},
    ],
)
def test_what_this_service_has_is_accepted(points: FaultPoints, words: dict[str, Any]) -> None:
    assert points.refusal(faults(**words)) is None


def test_a_service_without_relay_or_deadline_refuses_both() -> None:
    points = FaultPoints()
    points.describe(["order-created"], {"begun": [], "committed": [], "sent": []})
    assert "no relay" in str(points.refusal(faults(hold={"relay": True})))
    assert "no order has a deadline" in str(points.refusal(faults(overdue=["a"])))


@pytest.mark.parametrize(
    "words",
    [
        {"hold": {"relay": False}},
        {"hold": {"relay": ["*"]}},
        {"hold": {"order-cancelled": True}},
        {"hold": {"order-cancelled": []}},
        {"hold": {"order-cancelled": "*"}},
        {"hold": {"order-cancelled": ["a:b"]}},
        {"poison": {"order-cancelled": [7]}},
        {"crash": {"at": "soon", "event": "OrderCancelled"}},
        {"crash": {"at": "begun"}},
        {"crash": {"at": "begun", "event": "deadline", "after": -1}},
        {"crash": {"at": "begun", "event": "deadline", "after": 0.5}},
        {"overdue": "*"},
        {"held": {}},
    ],
)
def test_words_of_another_form_are_refused(words: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        faults(**words)
