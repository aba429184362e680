"""Lab 2's measurement: how many replicas keep up with a rate of requests."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from labs.exercises.checking import OddAnswer, first_found, number
from labs.exercises.designs.measurements import no_open_loop
from labs.exercises.designs.reading import fields, load, truth

RATE, WAIT = 25.0, 0.1
"""Requests per second, and the seconds for which each of them blocks a replica."""

NEAR = 0.05
"""Share of the rate by which the measured one may differ from it."""

ENOUGH_SECONDS = 3.0
"""Shortest load with each number of replicas: a queue that grows shows by then."""

GROWS, STEADY = 0.1, 0.04
"""Seconds that the latency gains per second: from the first one on the queue grows, up to the second it does not."""


def enough_copies(answer: Any) -> str | None:
    """Return the advice on the smallest number of replicas that keep up with the rate."""
    given = fields(answer, "samples", "predicted", "found", "holds")
    samples = load(given["samples"], "replicas")
    found, predicted = _whole(given["found"]), _whole(given["predicted"])
    counts = sorted({int(count) for count in samples["replicas"]})
    parts = {count: samples[samples["replicas"] == count] for count in counts}
    return first_found(
        lambda: _without_neighbour(parts, found),
        lambda: _other_rate(parts),
        lambda: _other_work(parts),
        lambda: next(filter(None, map(no_open_loop, parts.values())), None),
        lambda: _too_short(parts),
        lambda: _not_the_first(parts, found),
        lambda: _contradicts(truth(given["holds"]), predicted == found),
    )


def growth(part: pd.DataFrame) -> float:
    """Return the seconds that the latency gains per second of a load, by a straight line."""
    since = (part["intended"] - part["intended"].min()).to_numpy()
    return float(np.polyfit(since, part["latency"].to_numpy(), 1)[0])


def _whole(answer: Any) -> int:
    value = number(answer)
    if value != round(value) or value < 1:
        raise OddAnswer("a number of replicas is a whole one, and at least 1.")
    return round(value)


def _without_neighbour(parts: dict[int, pd.DataFrame], found: int) -> str | None:
    if found in parts and (found == 1 or found - 1 in parts):
        return None
    return "That so many are enough is half of the finding. Which other number shows that fewer are not enough?"


def _other_rate(parts: dict[int, pd.DataFrame]) -> str | None:
    rates = [(len(part) - 1) / (np.ptp(part["intended"]) or math.inf) for part in parts.values()]
    if all(abs(rate - RATE) <= NEAR * RATE for rate in rates):
        return None
    return f"Only the number of replicas may differ: hold the rate at {RATE:g} per second for each of them."


def _other_work(parts: dict[int, pd.DataFrame]) -> str | None:
    if all(part["latency"].quantile(0.1) >= WAIT for part in parts.values()):
        return None
    return f"Some of these requests took less than {WAIT:g} s. Which path blocks a replica, and for how long?"


def _too_short(parts: dict[int, pd.DataFrame]) -> str | None:
    if any(np.ptp(part["intended"]) < ENOUGH_SECONDS - 2 / RATE for part in parts.values()):
        return f"A queue needs time to show. Load each number of replicas for at least {ENOUGH_SECONDS:g} s."
    if any(STEADY < growth(part) < GROWS for part in parts.values()):
        return (
            "With one of these numbers the samples do not show whether the latency grows. "
            "Measure longer, while nothing else runs."
        )
    return None


def _not_the_first(parts: dict[int, pd.DataFrame], found: int) -> str | None:
    keeps_up = {count: growth(part) <= STEADY for count, part in parts.items()}
    if not keeps_up[found]:
        return "With `found` replicas your own requests still take longer and longer."
    if found > 1 and keeps_up[found - 1]:
        return "In your samples one replica fewer keeps up, too."
    return None


def _contradicts(holds: bool, agrees: bool) -> str | None:
    return None if holds == agrees else "`holds` contradicts what you predicted and found."
