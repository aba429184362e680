"""Rates of answers: how they are measured, and how one is compared with the predicted one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from labs.judging import SETTLED, Finding, doubt, failure

TOLERANCE = 0.2
"""Of the predicted rate."""

EXPLAINED = 0.5
"""Idle cores, per core's worth of missing throughput, from which on the system is the cause: cores that other
programs use, or wait for, are not idle."""

PART = 12
"""Intervals between answers: a part of a window that is long enough to show a rate, and a multiple
of 2, 3 and 4, since that many replicas answer nearly together."""


def rate(moments: pd.Series[float], began: float, ended: float) -> float:
    """Return the events per second within a window, and until the next one.

    It counts intervals, so that no edge cuts one, and silence at an edge counts.
    """
    times = _around(moments, began, ended)
    span = times[-1] - times[0] if len(times) else 0.0
    return float((len(times) - 1) / span) if span > 0 else 0.0


def best_rate(moments: pd.Series[float], began: float, ended: float) -> float:
    """Return the events per second in the part of a window in which `PART` of them came fastest."""
    times = _around(moments, began, ended)
    spans = times[PART:] - times[:-PART]
    return float(PART / spans.min()) if len(spans) and spans.min() > 0 else 0.0


def _around(moments: pd.Series[float], began: float, ended: float) -> np.ndarray[Any, Any]:
    """Return the events from the last one before a window to the first one after it, in order."""
    times = np.sort(moments.to_numpy())
    first = max(0, np.searchsorted(times, began, side="right") - 1)
    return times[first : np.searchsorted(times, ended) + 1]


def compare(row: Mapping[Any, Any], expected: Mapping[Any, Any]) -> Finding:
    """Return the finding on one measured rate: whether the system carries what is predicted.

    No answer is set aside. Too much is judged by the whole window, and so is too little on cores
    that were idle. Where no core was, the best part of the window decides: nothing else on a machine
    makes a system faster, so a part in which it carried the rate proves that it can, and a window
    without one is in doubt. Answers that were held up come in later, so only more than `carried` is
    too much.

    Args:
        row: The measured `achieved` and `best` (per second) and `idle` (cores).
        expected: The predicted `achieved` and `carried` (per second), and `seconds` of CPU time each.
    """
    enough = (1 - TOLERANCE) * expected["achieved"]
    if row["achieved"] > (1 + TOLERANCE) * expected["carried"]:
        return failure("carried more than predicted", certain=True)
    if row["achieved"] >= enough:
        return SETTLED
    missing = (expected["achieved"] - row["achieved"]) * expected["seconds"]
    if row["idle"] >= EXPLAINED * missing:
        return failure("carried less than predicted, on cores that were idle")
    return SETTLED if row["best"] >= enough else doubt("other programs kept the cores busy")
