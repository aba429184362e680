"""The exercises of lab 2."""

from __future__ import annotations

from typing import Any

from labs.exercises.checking import Exercise, Level, OddAnswer, first_advice, number, numbers
from labs.exercises.designs.copies import enough_copies
from labs.experiments.phase2 import head_of_line_blocking, limits, ratio_claim

RATIO, SECONDS = 100.0, 0.1
"""What the first exercise asks for: the ratio, and the length of a computation."""

REPLICAS, WORKERS = 2, 2
LIMIT = 5


def _hundred_times(answer: Any) -> str | None:
    k, unloaded = numbers(answer, 2)
    if unloaded <= 0 or k < 1 or k != round(k):
        raise OddAnswer("the first has to be a whole number, and the second more than 0.")

    def ratio(count: int) -> float:
        table = ratio_claim.predict([count], seconds=SECONDS, unloaded=unloaded)
        return float(table["ratio"].iloc[0])

    if ratio(int(k)) >= RATIO * 0.99 and (k == 1 or ratio(int(k) - 1) < RATIO * 1.01):
        return None
    if ratio(int(k)) < RATIO:
        return "With so many the ratio is smaller. Which other number, besides k, does the formula contain?"
    return "Fewer are enough. Each computation adds its whole length to the wait."


def _fewest_connections(answer: Any) -> str | None:
    given = number(answer)
    if given == 0:
        return None
    turns = head_of_line_blocking.predict(replicas=[3])["share"].iloc[0]
    return first_advice(
        [
            (not 0 <= given <= 1, "A share lies between 0 and 1."),
            (abs(given - turns) < 0.05, "That is the share when the replicas take turns."),
        ],
        "How many requests has the replica under way that computes, and how many have the others?",
    )


def _two_by_two(answer: Any) -> str | None:
    given = number(answer)
    table = limits.predict(limit=LIMIT, replicas=(1, REPLICAS * WORKERS))
    memory = table[table["store"] == "memory"].set_index("replicas")["admitted"]
    if given == memory[REPLICAS * WORKERS]:
        return None
    return first_advice(
        [
            (given == memory[1], "That is one memory. How many processes count for themselves?"),
            (
                given == memory[1] * REPLICAS,
                "Each worker is a process, and has a memory of its own.",
            ),
            (given == 100, "Each memory admits its limit, and no more."),
        ],
        "The question is for the most: a measurement may show less, when one worker gets few of the requests.",
    )


EXERCISES = (
    Exercise(
        "A hundred times",
        Level.READ,
        "two numbers: k, and the unloaded seconds of your run",
        _hundred_times,
    ),
    Exercise(
        "The fewest connections", Level.CHANGE, "a share of the bystanders", _fewest_connections
    ),
    Exercise("Two replicas, two workers each", Level.CHANGE, "a number of requests", _two_by_two),
    Exercise(
        "Design a measurement: enough copies",
        Level.DESIGN,
        "a dictionary of plan, samples, predicted, found and holds",
        enough_copies,
    ),
)
