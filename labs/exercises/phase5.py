"""The exercises of lab 5."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from labs.exercises.checking import (
    Exercise,
    Level,
    OddAnswer,
    Varied,
    first_advice,
    names,
    number,
    word,
)
from labs.exercises.designs.comparisons import refund_and_confirmation
from labs.experiments.phase5 import interleavings, outcomes

EVENTS = ("PaymentCompleted", "OrderConfirmed", "OrderCancelled")
"""What inventory-service consumes."""

REFUSALS = [
    {"rate": 0.9, "paid": 0.99},
    {"rate": 0.9, "paid": 0.95},
    {"rate": 0.8, "paid": 0.99},
    {"rate": 0.8, "paid": 0.95},
    {"rate": 0.75, "paid": 0.99},
    {"rate": 0.95, "paid": 0.99},
    {"rate": 0.95, "paid": 0.95},
]
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


def _attempts(answer: Any, *, rate: float, paid: float) -> str | None:
    given = number(answer)
    right = math.ceil(math.log(1 - paid) / math.log(rate))
    if abs(given - right) <= 2:
        return None
    mean = round(1 / (1 - rate))
    return first_advice(
        [
            (
                abs(given - mean) < 0.5,
                f"{word(mean).capitalize()} is the mean. Half of the customers do not ask about the mean.",
            ),
            (
                abs(given - math.log(1 - paid) / math.log(1 - rate)) < 0.5,
                f"That is for one refusal in {word(mean)}.",
            ),
            (
                0.7 * right < given < 1.45 * right,
                "A sample of orders comes near it; the formula gives the number.",
            ),
        ],
        "After k attempts a share of q to the power of k is still owed.",
    )


def _refusals(rate: float, **_: Any) -> str:
    share = Fraction(rate).limit_denominator(20)
    return f"{word(share.numerator)} refusals of {word(share.denominator)}".capitalize()


EXERCISES = (
    Exercise("How many orders refute 70 %?", Level.READ, "a number of orders", _orders_to_refute),
    Exercise("What inventory-service may give up", Level.CHANGE, "names of events", _given_up),
    Varied(_refusals, Level.CHANGE, "a number of attempts", _attempts, REFUSALS),
    Exercise(
        "Design a measurement: how long money is away",
        Level.DESIGN,
        "a dictionary of plan, samples and conclusion",
        refund_and_confirmation,
    ),
)
