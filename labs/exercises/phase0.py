"""The exercises of lab 0."""

from __future__ import annotations

from typing import Any

from labs.exercises.checking import Exercise, Level, close, first_advice, names, number, numbers
from labs.exercises.designs.comparisons import order_and_payment
from labs.experiments.phase0 import independence, startup

TEN = [0.6] * 10, [0.5] * 10
"""Seconds to ready, and seconds of processor time, of the ten services of the third exercise."""


def _rows_with_losses(answer: Any) -> str | None:
    given = names(answer)
    table = independence.predict(
        "user-service", calls={"POST /orders": ["payment-service"]}, work_seconds=0
    )
    losing = set(table.loc[table["inside"] < 1, "endpoint"])
    if given == losing:
        return None
    return first_advice(
        [
            (
                bool(given - set(table["endpoint"])),
                "Some of these are no rows of the figure; they look like GET /users.",
            ),
            (
                bool(given - losing),
                "Some of these lose nothing. Which service does each of them wait for?",
            ),
        ],
        "A row is missing: which requests does the killed service answer itself?",
    )


def _payments_lost(answer: Any) -> str | None:
    given = number(answer)
    if given == 0:
        return None
    return (
        "A stopped replica finishes what is under way. Count only payments that were sent before the stop: "
        "those that came after it were refused, and were never under way."
    )


def _ten_services(answer: Any) -> str | None:
    alone, together = sorted(numbers(answer, 2), reverse=True)
    right = startup.predict(*TEN, cores=4)["seconds"]
    if close(alone, right[0]) and close(together, right[1]):
        return None
    cpu, seconds = sum(TEN[1]), TEN[0][0]
    return first_advice(
        [
            (
                not close(alone, right[0]),
                "One by one means that each begins when the one before is ready.",
            ),
            (
                close(together, sum(TEN[0]) / 4),
                "Only processor time is divided among the cores; waiting overlaps.",
            ),
            (together < cpu / 4, f"Four cores cannot do {cpu:g} s of work in that time."),
            (
                close(together, seconds),
                "That is the time of one service that has a core of its own.",
            ),
        ],
        "Together they need the longest single start, or their processor time divided by the cores, whichever is more.",
    )


EXERCISES = (
    Exercise(
        "Which requests does user-service take with it?",
        Level.CHANGE,
        "the rows that lose requests",
        _rows_with_losses,
    ),
    Exercise(
        "What does a stop lose?",
        Level.DESIGN,
        "the number of payments that were lost",
        _payments_lost,
    ),
    Exercise(
        "Ten services, four cores",
        Level.READ,
        "two numbers of seconds: one by one, and together",
        _ten_services,
    ),
    Exercise(
        "Design a measurement: an order and its payment",
        Level.DESIGN,
        "a dictionary of plan, samples, predicted, found and holds",
        order_and_payment,
    ),
)
