"""The exercises of lab 4."""

from __future__ import annotations

from typing import Any

from labs.exercises.checking import Exercise, Level, Varied, first_advice, numbers, word
from labs.exercises.designs.drains import draining
from labs.experiments.phase4 import consumer_group

PARTITIONS = [{"partitions": partitions} for partitions in (10, 7, 8, 9, 11, 13, 14, 15, 16)]
"""The first exercise. At six and twelve partitions a member helps only where the number of members is a divisor."""


def _worth_a_member(answer: Any, *, partitions: int) -> str | None:
    given = set(numbers(answer))
    members = range(1, partitions + 1)
    table = consumer_group.predict(
        messages=100, seconds=0.1, members=members, partitions=partitions
    )
    divisors = {each for each in members if partitions % each == 0}
    helps = set(table["members"][table["drain"].diff() < 0])
    if given - {1} == helps:
        return None
    return first_advice(
        [
            (bool(given - set(members)), f"The question is for one to {word(partitions)} members."),
            (
                given - {1} == divisors - {1},
                f"Not only where the number divides {word(partitions)}. Look at the busiest member.",
            ),
            (
                bool(given - {1} - helps),
                "At one of these the busiest member has as many partitions as before.",
            ),
        ],
        "One is missing: at which numbers does the busiest member have fewer partitions?",
    )


def _lag(answer: Any) -> str | None:
    most, last = numbers(answer, 2)
    if 8 <= most <= 10 and last == 0:
        return None
    return first_advice(
        [
            (last != 0, "Watch until payment-service has resumed and read what waited."),
            (most > 10, "Ten orders are ten messages: sum the partitions of one topic."),
        ],
        "Sum the lag of all partitions at each moment. Was the service paused before the first order?",
    )


def _keys(answer: Any) -> str | None:
    one, ten = numbers(answer, 2)
    if one == 1 and 2 <= ten <= 3:
        return None
    return first_advice(
        [
            (one != 1, "Messages with one key lie in one partition. Did each have the same key?"),
            (ten > 3, "The topic has three partitions."),
            (
                ten == 1,
                "Ten keys in one partition are improbable. Had each message a key of its own?",
            ),
        ],
        "Count the different values in the column `partition`, for the one key and for the ten.",
    )


EXERCISES = (
    Varied(
        lambda **_: "Another member",
        Level.READ,
        "the numbers of members where the last one helps",
        _worth_a_member,
        PARTITIONS,
    ),
    Exercise("A lag", Level.CHANGE, "two numbers: the largest lag, and the last one", _lag),
    Exercise(
        "Keys and partitions",
        Level.DESIGN,
        "two counts of partitions: one key, and ten keys",
        _keys,
    ),
    Exercise(
        "Design a measurement: a lag that shrinks",
        Level.DESIGN,
        "a dictionary of plan, samples and conclusion",
        draining,
    ),
)
