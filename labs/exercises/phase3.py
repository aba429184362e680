"""The exercises of lab 3."""

from __future__ import annotations

from typing import Any

from labs.exercises.checking import Exercise, Level, OddAnswer, close, first_advice, number
from labs.exercises.designs.reloads import lost_by_reloads
from labs.experiments.phase3 import distribution, health_check, slow_replica

DELAY, SHARE = 0.2, 1 / 20
"""The first exercise: how much slower one replica is (seconds), and the share that it gets."""

OFFICE = ["10.1.2.3", "10.1.2.200"]


def _share(rate: float, delay: float, arrivals: slow_replica.Arrivals = "even") -> float:
    table = slow_replica.predict([(rate, delay)], arrivals=arrivals).set_index("algorithm")
    return float(table["share"]["least_conn"])


def _one_in_twenty(answer: Any) -> str | None:
    rate = number(answer)
    if rate <= 0:
        raise OddAnswer("a rate is more than 0.")
    if close(_share(rate, DELAY), SHARE):
        return None
    if _share(rate, DELAY) > SHARE:
        return "At this rate it gets more. While it has one request, how many come to the others?"
    return "At this rate it gets fewer. How many requests come while it works on one?"


def _office(answer: Any) -> str | None:
    given = number(answer)
    table = distribution.predict([1] * 4, OFFICE, requests=40)
    (replica,) = set(table.loc[table["client"] != "", "replica"])
    if given == replica:
        return None
    return first_advice(
        [(given not in range(1, 5), "The replicas have the numbers 1 to 4.")],
        "Of an IPv4 address nginx hashes the first three numbers only. What does `distribution.predict` say of two?",
    )


def _three_failures(answer: Any) -> str | None:
    given = number(answer)
    table = health_check.predict(replicas=3, max_fails=3, fail_timeout=2)
    most = table.set_index("fault")["failed"][health_check.DEAD]
    if given == most:
        return None
    return first_advice(
        [
            (given == 3, "Three failures make nginx pass it over. What happens two seconds later?"),
            (
                given < most,
                "So many it cost, perhaps. What is the most that it may cost, while the fault lasts?",
            ),
        ],
        "Count three failures for each time that nginx tries the replica again, while the fault lasts.",
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
    Exercise("One request in twenty", Level.READ, "a rate in requests per second", _one_in_twenty),
    Exercise("Two people of one office", Level.CHANGE, "the number of a replica", _office),
    Exercise(
        "Three failures", Level.CHANGE, "the most attempts that a death may cost", _three_failures
    ),
    Exercise("Random arrivals", Level.DESIGN, "a share of the requests", _random_arrivals),
    Exercise(
        "Design a measurement: a reload of nginx",
        Level.DESIGN,
        "a dictionary of plan, samples, reloads, predicted, found and holds",
        lost_by_reloads,
    ),
)
