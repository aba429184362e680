"""Reference answers to the exercises of phase 5: each is as short as its hint promises, and right."""

from math import ceil

from labs.experiments.phase5 import interleavings, outcomes, refunds


def test_fifty_orders_refute_the_original() -> None:
    share, claim = outcomes.SHARES["completed"], outcomes.ORIGINAL["completed"]
    orders = ceil(share * (1 - share) * (outcomes.DEVIATIONS / (claim - share)) ** 2)
    assert 45 < orders <= 50
    assert orders > 20


def test_inventory_may_give_up_the_payment_alone() -> None:
    events = ("PaymentCompleted", "OrderConfirmed", "OrderCancelled")
    ways = {
        event: interleavings.counter_example("--dead-letter", f"inventory/{event}")
        for event in events
    }
    assert [event for event, way in ways.items() if way.empty] == ["PaymentCompleted"]


def test_nine_refusals_of_ten_take_about_forty_four_attempts() -> None:
    attempts = refunds.predict(orders=1000, rate=0.9)["attempts"].quantile(0.99)
    assert 30 < attempts < 65
