"""Rates of answers: how they are measured, and how one is compared with the predicted one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from labs.verdicts import Verdict

TOLERANCE = 0.2
"""Of the predicted rate."""

EXPLAINED = 0.5
"""Idle cores, per core's worth of missing throughput, from which on the system is to blame: cores
that other programs use are not idle."""

PART = 12
"""Intervals between answers: a part of a window that is long enough to tell a rate, and a multiple
of 2, 3 and 4, since that many replicas answer nearly together."""


def rate(moments: pd.Series[float], began: float, ended: float) -> float:
    """Events per second within a window, and until the next one: intervals, so that no edge cuts
    one, and silence at an edge counts."""
    times = _around(moments, began, ended)
    span = times[-1] - times[0] if len(times) else 0.0
    return float((len(times) - 1) / span) if span > 0 else 0.0


def best_rate(moments: pd.Series[float], began: float, ended: float) -> float:
    """Events per second in the part of a window in which `PART` of them came fastest."""
    times = _around(moments, began, ended)
    spans = times[PART:] - times[:-PART]
    return float(PART / spans.min()) if len(spans) and spans.min() > 0 else 0.0


def _around(moments: pd.Series[float], began: float, ended: float) -> np.ndarray[Any, Any]:
    """The events from the last one before a window to the first one after it, in order."""
    times = np.sort(moments.to_numpy())
    first = max(0, np.searchsorted(times, began, side="right") - 1)
    return times[first : np.searchsorted(times, ended) + 1]


def compare(row: Mapping[Any, Any], expected: Mapping[Any, Any]) -> tuple[str, str]:
    """What one measured rate says: ("settled", ""), or a "doubt" or "failure" in words.

    `row` has `achieved`, `best` and `idle`, as `summarise` gives them; `expected` is a row of the
    prediction. Where other programs had the cores for a part of the time, the best part settles
    the case: nothing else on a machine makes a system faster. Answers that were held up come in
    later, so only what n replicas can carry is too much.
    """
    enough = (1 - TOLERANCE) * expected["achieved"]
    if row["achieved"] > (1 + TOLERANCE) * expected["carried"]:
        return "failure", "carried more than predicted"
    if row["achieved"] >= enough:
        return "settled", ""
    missing = (expected["achieved"] - row["achieved"]) * expected["seconds"]
    if row["idle"] >= EXPLAINED * missing:
        return "failure", "carried less than predicted, on cores that were idle"
    if row["best"] >= enough:
        return "settled", ""
    return "doubt", "other programs kept the cores busy"


def settle(
    experiment: str,
    judged: str,
    cases: Iterable[tuple[str, list[tuple[str, str]]]],
    failures: Sequence[str] = (),
    *,
    details: dict[str, Any],
) -> Verdict:
    """A verdict on cases that were measured once per attempt: a failure stands, and a doubt does
    until an attempt settles the case."""
    failed, doubts = list(failures), []
    for name, found in cases:
        failed += [f"{name}: {why}" for kind, why in found if kind == "failure"]
        if all(kind == "doubt" for kind, _ in found):
            doubts.append(f"{name}: {found[-1][1] if found else 'not measured'}")
    return Verdict.of(
        experiment, judged, failures=dict.fromkeys(failed), doubts=doubts, details=details
    )
