"""The exercises of lab 5."""

from __future__ import annotations

import math
from typing import Any

from labs.exercises.checking import Exercise, Level, OddAnswer, first_advice, names, number
from labs.exercises.designs.comparisons import refund_and_confirmation
from labs.experiments.phase5 import interleavings, outcomes

EVENTS = ("PaymentCompleted", "OrderConfirmed", "OrderCancelled")
"""What inventory-service consumes."""

REFUSED, PAID = 0.9, 0.99
"""The third exercise: the share of refused attempts, and the share of the refunds that are paid."""


def _orders_to_refute(answer: Any) -> str | None:
    given = number(answer)
    if given < 1 or given != round(given):
        raise OddAnswer("this is no number of orders.")
    share, claim = outcomes.SHARES["completed"], outcomes.ORIGINAL["completed"]

    def half_width(orders: float) -> float:
        return outcomes.DEVIATIONS * math.sqrt(share * (1 - share) / orders)

    excluded = half_width(given) < claim - share
    if excluded and half_width(given - 1 or 1) >= claim - share:
        return None
    if excluded:
        return "With so many it is refuted. With how few is it still?"
    return "With so many the band still contains the claim. Which p stands under the root?"


def _given_up(answer: Any) -> str | None:
    given = names(answer)
    if unknown := given - set(EVENTS):
        raise OddAnswer(f"inventory-service does not consume {', '.join(sorted(unknown))}.")
    harmless = {
        event
        for event in EVENTS
        if interleavings.counter_example("--dead-letter", f"inventory/{event}").empty
    }
    if given == harmless:
        return None
    if given - harmless:
        return "For one of these the checker has a counter-example. What stays reserved, or is never sold?"
    return "The checker finds no way to a wrong state for another one of them."


def _attempts(answer: Any) -> str | None:
    given = number(answer)
    right = math.ceil(math.log(1 - PAID) / math.log(REFUSED))
    if abs(given - right) <= 2:
        return None
    return first_advice(
        [
            (given == 10, "Ten is the mean. Half of the customers do not ask about the mean."),
            (
                abs(given - math.log(1 - PAID) / math.log(1 - REFUSED)) < 0.5,
                "That is for one refusal in ten.",
            ),
            (30 < given < 65, "A sample of orders comes near it; the formula gives the number."),
        ],
        "After k attempts a share of q to the power of k is still owed.",
    )


EXERCISES = (
    Exercise("How many orders refute 70 %?", Level.READ, "a number of orders", _orders_to_refute),
    Exercise("What inventory-service may give up", Level.CHANGE, "names of events", _given_up),
    Exercise("Nine refusals of ten", Level.CHANGE, "a number of attempts", _attempts),
    Exercise(
        "Design a measurement: how long money is away",
        Level.DESIGN,
        "a dictionary of plan, samples, predicted, found and holds",
        refund_and_confirmation,
    ),
)
