"""The exercises of lab 0."""

from __future__ import annotations

from typing import Any

from labs.exercises.checking import (
    Exercise,
    Level,
    Varied,
    close,
    first_advice,
    names,
    number,
    numbers,
    word,
)
from labs.exercises.designs.comparisons import order_and_payment
from labs.experiments.phase0 import independence, startup

SERVICES = [
    {"services": 10, "seconds": 0.6, "cpu": 0.5, "cores": 4},
    *(
        {"services": services, "seconds": seconds, "cpu": cpu, "cores": cores}
        for services in (8, 9, 12, 15, 18)
        for seconds, cpu in ((0.8, 0.6), (0.9, 0.7), (1.2, 0.8), (1.5, 1.2))
        for cores in (2, 3, 4)
    ),
]
"""The third exercise: how many services, seconds to ready and of processor time of each, and the cores.

In each the cores limit the start together: that is what the exercise is about.
"""


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


def _services(answer: Any, *, services: int, seconds: float, cpu: float, cores: int) -> str | None:
    alone, together = sorted(numbers(answer, 2), reverse=True)
    table = startup.predict([seconds] * services, [cpu] * services, cores=cores)
    right = table["seconds"]
    if close(alone, right[0]) and close(together, right[1]):
        return None
    work = cpu * services
    return first_advice(
        [
            (
                not close(alone, right[0]),
                "One by one means that each begins when the one before is ready.",
            ),
            (
                close(together, right[0] / cores),
                "Only processor time is divided among the cores; waiting overlaps.",
            ),
            (
                together < work / cores,
                f"{word(cores).capitalize()} cores cannot do {work:g} s of work in that time.",
            ),
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
    Varied(
        lambda services, cores, **_: f"{word(services)} services, {word(cores)} cores".capitalize(),
        Level.READ,
        "two numbers of seconds: one by one, and together",
        _services,
        SERVICES,
    ),
    Exercise(
        "Design a measurement: an order and its payment",
        Level.DESIGN,
        "a dictionary of plan, samples and conclusion",
        order_and_payment,
    ),
)
