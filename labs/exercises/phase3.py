"""The exercises of lab 3."""

from __future__ import annotations

from typing import Any

from labs.exercises.checking import (
    Exercise,
    Level,
    OddAnswer,
    Varied,
    close,
    first_advice,
    number,
    word,
)
from labs.exercises.designs.reloads import lost_by_reloads
from labs.experiments.phase3 import distribution, health_check, slow_replica

DELAYS = [
    {"delay": delay, "one_in": one_in}
    for delay, counts in (
        (0.2, (20, 8, 10, 12, 15)),
        (0.1, (8, 12, 15, 20)),
        (0.25, (8, 20)),
        (0.4, (8, 10, 15, 20)),
        (0.5, (8,)),
    )
    for one_in in counts
]
"""The first exercise: how much slower one replica is (seconds), and that it gets one request in so many.

No rate is right for two of them.
"""

OFFICES = [
    {"office": f"10.1.{third}"} for third in (2, 7, 12, 19, 28, 33, 46, 57, 61, 74, 88, 95, 102)
]
"""The second exercise: what the addresses of the office begin with."""

FAILURES = [
    {"max_fails": max_fails, "fail_timeout": fail_timeout}
    for max_fails in (3, 2, 4, 5)
    for fail_timeout in (2, 1, 3)
]
"""The third exercise: how nginx passes a replica over."""


def _share(rate: float, delay: float, arrivals: slow_replica.Arrivals = "even") -> float:
    table = slow_replica.predict([(rate, delay)], arrivals=arrivals).set_index("algorithm")
    return float(table["share"]["least_conn"])


def _one_in(answer: Any, *, delay: float, one_in: int) -> str | None:
    rate, share = number(answer), 1 / one_in
    if rate <= 0:
        raise OddAnswer("a rate is more than 0.")
    if close(_share(rate, delay), share):
        return None
    if _share(rate, delay) > share:
        return "At this rate it gets more. While it has one request, how many come to the others?"
    return "At this rate it gets fewer. How many requests come while it works on one?"


def _office(answer: Any, *, office: str) -> str | None:
    given = number(answer)
    table = distribution.predict([1] * 4, [f"{office}.3", f"{office}.200"], requests=40)
    (replica,) = set(table.loc[table["client"] != "", "replica"])
    if given == replica:
        return None
    return first_advice(
        [(given not in range(1, 5), "The replicas have the numbers 1 to 4.")],
        "Of an IPv4 address nginx hashes the first three numbers only. What does `distribution.predict` return "
        "for both addresses?",
    )


def _failures(answer: Any, *, max_fails: int, fail_timeout: int) -> str | None:
    given = number(answer)
    table = health_check.predict(replicas=3, max_fails=max_fails, fail_timeout=fail_timeout)
    most = table.set_index("fault")["failed"][health_check.DEAD]
    if given == most:
        return None
    return first_advice(
        [
            (
                given == max_fails,
                f"{word(max_fails).capitalize()} failures make nginx pass it over. What happens "
                f"{word(fail_timeout)} second{'s' * (fail_timeout > 1)} later?",
            ),
            (
                given < most,
                "It may have cost so many in your run. What is the most that it may cost, while the fault lasts?",
            ),
        ],
        f"Count {word(max_fails)} failures for each time that nginx tries the replica again, while the fault lasts.",
    )


def _random_arrivals(answer: Any) -> str | None:
    given = number(answer)
    right, even = _share(20, 0.04, "poisson"), _share(20, 0.04)
    if close(given, right, 0.03):
        return None
    return first_advice(
        [
            (not 0 < given < 1, "A share lies between 0 and 1."),
            (
                close(given, even, 0.03),
                "That is the share for even arrivals: there the next request never comes early.",
            ),
        ],
        "At random times, how probable is it that a request comes while the slow replica is busy?",
    )


EXERCISES = (
    Varied(
        lambda one_in, **_: f"One request in {word(one_in)}",
        Level.READ,
        "a rate in requests per second",
        _one_in,
        DELAYS,
    ),
    Varied(
        lambda **_: "Two people of one office",
        Level.CHANGE,
        "the number of a replica",
        _office,
        OFFICES,
    ),
    Varied(
        lambda max_fails, **_: f"{word(max_fails)} failures".capitalize(),
        Level.CHANGE,
        "the most attempts that a death may cost",
        _failures,
        FAILURES,
    ),
    Exercise("Random arrivals", Level.DESIGN, "a share of the requests", _random_arrivals),
    Exercise(
        "Design a measurement: a reload of nginx",
        Level.DESIGN,
        "a dictionary of plan, samples and conclusion",
        lost_by_reloads,
    ),
)
