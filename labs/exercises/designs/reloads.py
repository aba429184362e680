"""Lab 3's measurement: whether a reload of nginx loses requests, and how many its samples cannot exclude."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from labs.exercises.checking import OddAnswer, first_found, number, numbers
from labs.exercises.designs.intervals import Interval, of_share
from labs.exercises.designs.measurements import no_open_loop
from labs.exercises.designs.reading import fields, load, truth

WINDOW = 1.0
"""Seconds from a reload, whose requests are exposed to it."""

FEWEST = 5
"""Reloads: requests of one reload are not independent of each other."""

MOST = 100
"""Reloads: each of them is compared with each request."""

ENOUGH = 300
"""Exposed requests: none lost among so many excludes a loss of one in a hundred."""

NEAR = (0.8, 1.4)
"""By which factor the student's bound may differ from that of the check: there are several formulas."""


def lost_by_reloads(answer: Any) -> str | None:
    """Return the advice on the share of requests that a reload of nginx loses."""
    given = fields(answer, "samples", "reloads", "predicted", "found", "holds")
    samples, moments = load(given["samples"]), np.sort(numbers(given["reloads"]))
    predicted, found = number(given["predicted"]), number(given["found"])
    if not (0 <= predicted <= 1 and 0 <= found <= 1):
        raise OddAnswer("`predicted` and `found` are shares between 0 and 1.")
    if len(moments) > MOST:
        raise OddAnswer(f"`reloads` has more than {MOST}: fewer are enough.")
    return first_found(
        lambda: _not_during_load(samples, moments),
        lambda: no_open_loop(samples),
        lambda: _too_few(samples, moments),
        lambda: _without_quiet(samples, moments),
        lambda: _other_bound(found, _lost(samples[exposed(samples, moments)])),
        lambda: _contradicts(
            truth(given["holds"]), predicted, _lost(samples[exposed(samples, moments)])
        ),
    )


def exposed(samples: pd.DataFrame, moments: np.ndarray[Any, Any]) -> pd.Series[bool]:
    """Return which requests were due within `WINDOW` of a reload, or under way at one."""
    starts = samples["intended"].to_numpy()[:, None]
    ends = starts + samples["latency"].to_numpy()[:, None]
    return pd.Series(((starts < moments + WINDOW) & (ends >= moments)).any(axis=1))


def _lost(samples: pd.DataFrame) -> Interval:
    return of_share(int((samples["ok"] == 0).sum()), of=len(samples))


def _not_during_load(samples: pd.DataFrame, moments: np.ndarray[Any, Any]) -> str | None:
    began, ended = samples["intended"].min(), samples["intended"].max()
    if len(moments) and (moments >= began).all() and (moments + WINDOW <= ended).all():
        return None
    return "Reload while the load runs, a second before its end at the latest; `reloads` holds unix seconds."


def _too_few(samples: pd.DataFrame, moments: np.ndarray[Any, Any]) -> str | None:
    if len(moments) < FEWEST:
        return "Requests of one reload meet one state of the system. Reload more often."
    if exposed(samples, moments).sum() < ENOUGH:
        return (
            "So few requests cannot exclude that one in a hundred is lost, even if none was. "
            "How many does it take by the rule of three?"
        )
    return None


def _without_quiet(samples: pd.DataFrame, moments: np.ndarray[Any, Any]) -> str | None:
    before = (samples["intended"] < moments[0]).sum()
    between = (~exposed(samples, moments)).sum()
    if between >= ENOUGH and 0 < before < between:
        return None
    return (
        "Something to compare with is missing: enough requests far from every reload, some before the first "
        "one and more between them."
    )


def _other_bound(found: float, lost: Interval) -> str | None:
    if NEAR[0] * lost.high <= found <= NEAR[1] * lost.high:
        return None
    if found <= lost.value:
        return "`found` is not the share that you saw, but the largest one that these samples cannot exclude."
    return "`found` does not follow from these samples: count only the requests of the second after each reload."


def _contradicts(holds: bool, predicted: float, lost: Interval) -> str | None:
    if holds == (lost.low <= predicted <= lost.high):
        return None
    return "`holds` contradicts the rest. Which shares are compatible with so many losses?"
