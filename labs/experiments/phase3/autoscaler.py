"""The HorizontalPodAutoscaler's arithmetic: how many replicas a utilisation requires."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

TARGET = 0.4
"""The utilisation that the loop aims at. What is left carries the load that the loop measures too
late, so that no queue of one interval is taken for the next one's load."""

TOLERANCE = 0.1
"""Of the target: a utilisation that is as near to it changes nothing."""

LEAST, MOST = 1, 8
"""Replicas, as `env.scale` can have them."""


class Interval(NamedTuple):
    """What the loop measured in one interval: the replicas, and their utilisation (0 to 1)."""

    replicas: int
    utilisation: float


def choose(intervals: Sequence[Interval], window: int) -> int:
    """Return how many replicas to run in the next interval.

    Args:
        intervals: All intervals so far, the oldest first; each has its `replicas` and their `utilisation` (0 to 1).
        window: The stabilisation window, in intervals: from 1, which is none.
    """
    return stabilised([recommended(*interval) for interval in intervals], window)


def recommended(replicas: int, utilisation: float) -> int:
    """Return ceil(replicas x utilisation / target), and `replicas` where that is within a tolerance.

    Source: Kubernetes documentation, Horizontal Pod Autoscaling, algorithm details.
    """
    ratio = utilisation / TARGET
    if abs(ratio - 1) <= TOLERANCE:
        return replicas
    return min(MOST, max(LEAST, math.ceil(replicas * ratio)))


def stabilised(recommendations: Sequence[int], window: int) -> int:
    """Return the highest recommendation of the last `window` intervals.

    So the loop scales up at once, and down only when no interval of the window required more
    (stabilizationWindowSeconds, by default 300 for scaling down).
    """
    return max(recommendations[-window:])


def changes_of_direction(replicas: Sequence[int]) -> int:
    """Return how often the number went down after it had gone up, or up after it had gone down."""
    changes = [b - a for a, b in pairwise(replicas) if a != b]
    return sum((a > 0) != (b > 0) for a, b in pairwise(changes))
