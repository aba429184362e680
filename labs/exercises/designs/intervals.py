"""Intervals of 95 %: of a median, of a difference of medians, of a mean of few values, and of a share."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

Z = 1.96
"""Standard deviations on either side that hold 95 % of a normal distribution."""

ONE_SIDED = 1.645
"""Standard deviations below which 95 % of it lie."""

STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)
"""Student's t for 95 %, of 2 values, of 3, and so on."""

Values = pd.Series | npt.NDArray[np.float64] | list[float]


class Interval(NamedTuple):
    """A best value, and the interval around it."""

    low: float
    value: float
    high: float

    @property
    def width(self) -> float:
        """From one end to the other."""
        return self.high - self.low


def of_median(values: Values) -> Interval:
    """Return the median and its interval.

    Each of n values lies below the true median or not, like a coin. So the values whose ranks are sqrt(n) x 1.96 / 2
    away from the middle enclose it, whatever the distribution. Fewer than six values enclose it too seldom: the
    interval is then infinite.
    """
    ordered = np.sort(np.asarray(values, dtype=float))
    n = len(ordered)
    if n < 6:
        return Interval(-math.inf, float(np.median(ordered)) if n else math.nan, math.inf)
    below = max(0, math.floor(n / 2 - Z * math.sqrt(n) / 2))
    return Interval(float(ordered[below]), float(np.median(ordered)), float(ordered[n - 1 - below]))


def of_difference(values: Values, control: Values) -> Interval:
    """Return the median of the values minus that of the control, with the interval of the difference.

    The half-widths of the two intervals are added like independent errors: the root of the sum of their squares.
    """
    one, other = of_median(values), of_median(control)
    value = one.value - other.value
    low = math.hypot(one.value - one.low, other.high - other.value)
    high = math.hypot(one.high - one.value, other.value - other.low)
    return Interval(value - low, value, value + high)


def of_mean(values: Values) -> Interval:
    """Return the mean of up to ten values and its interval by Student's t; infinite for one value."""
    numbers = np.asarray(values, dtype=float)
    n = len(numbers)
    if n < 2:
        return Interval(-math.inf, float(numbers.mean()) if n else math.nan, math.inf)
    factor = STUDENT[n - 2] if n - 2 < len(STUDENT) else Z
    half = factor * float(numbers.std(ddof=1)) / math.sqrt(n)
    mean = float(numbers.mean())
    return Interval(mean - half, mean, mean + half)


def of_share(events: int, *, of: int) -> Interval:
    """Return the share of events among so many, with one-sided bounds of 95 % (Wilson's).

    Without an event the upper one is near the rule of three: 3 / n.
    """
    share, z = events / of, ONE_SIDED**2
    middle = (share + z / (2 * of)) / (1 + z / of)
    half = math.sqrt(z * (share * (1 - share) / of + z / (4 * of**2))) / (1 + z / of)
    return Interval(max(0.0, middle - half), share, min(1.0, middle + half))
