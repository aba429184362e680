"""The exercises of lab 2."""

from __future__ import annotations

from typing import Any

from labs.exercises.checking import (
    Exercise,
    Level,
    OddAnswer,
    Varied,
    first_advice,
    number,
    numbers,
    word,
)
from labs.exercises.designs.copies import enough_copies
from labs.experiments.phase2 import head_of_line_blocking, limits, ratio_claim

TIMES = {100: "A hundred times", 50: "Fifty times", 200: "Two hundred times"}

RATIOS = [
    {"ratio": ratio, "seconds": seconds}
    for ratio in TIMES
    for seconds in (0.1, 0.05, 0.08)
    if ratio >= 1000 * seconds
]
"""What the first exercise asks for: the ratio, and the length of a computation, of which one alone is not enough."""

MEMORIES = [
    {"limit": limit, "replicas": replicas, "workers": workers}
    for limit in (5, 3, 4, 6, 7)
    for replicas, workers in ((2, 2), (2, 3), (3, 2))
]
"""The third exercise: the limit, the replicas, and the workers of each."""


def _many_times(answer: Any, *, ratio: float, seconds: float) -> str | None:
    k, unloaded = numbers(answer, 2)
    if unloaded <= 0 or k < 1 or k != round(k):
        raise OddAnswer("the first has to be a whole number, and the second more than 0.")

    def reached(count: int) -> float:
        table = ratio_claim.predict([count], seconds=seconds, unloaded=unloaded)
        return float(table["ratio"].iloc[0])

    if reached(int(k)) >= ratio * 0.99 and (k == 1 or reached(int(k) - 1) < ratio * 1.01):
        return None
    if reached(int(k)) < ratio:
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


def _memories(answer: Any, *, limit: int, replicas: int, workers: int) -> str | None:
    given = number(answer)
    table = limits.predict(limit=limit, replicas=(1, replicas * workers))
    memory = table[table["store"] == "memory"].set_index("replicas")["admitted"]
    if given == memory[replicas * workers]:
        return None
    return first_advice(
        [
            (given == memory[1], "That is one memory. How many processes count for themselves?"),
            (
                given == memory[1] * replicas,
                "Each worker is a process, and has a memory of its own.",
            ),
            (given == 100, "Each memory admits its limit, and no more."),
        ],
        "The question is for the most: a measurement may show less, when one worker gets few of the requests.",
    )


EXERCISES = (
    Varied(
        lambda ratio, **_: TIMES[ratio],
        Level.READ,
        "two numbers: k, and your run's unloaded seconds",
        _many_times,
        RATIOS,
    ),
    Exercise(
        "The fewest connections", Level.CHANGE, "a share of the bystanders", _fewest_connections
    ),
    Varied(
        lambda replicas, workers, **_: (
            f"{word(replicas)} replicas, {word(workers)} workers each".capitalize()
        ),
        Level.CHANGE,
        "a number of requests",
        _memories,
        MEMORIES,
    ),
    Exercise(
        "Design a measurement: enough replicas",
        Level.DESIGN,
        "a dictionary of plan, samples and conclusion",
        enough_copies,
    ),
)
