"""A bystander's delay behind computations: what is predicted, and what it is compared with.

A bystander's delay is compared with the time that the computations ahead of it took on its replica, by their own
answers. Other programs that slow the computations slow the bystander by as much, so that the comparison holds on a busy
machine, too, and no delay has to be set aside for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.experiments.bystanders import BYSTANDER, COMPUTATION
from labs.experiments.phase2.computations import RECEIVED_BEFORE
from labs.figures import INK
from labs.judging import (
    SETTLED,
    Case,
    Counted,
    Finding,
    doubt,
    failure,
    plural,
    pooled,
    set_aside,
    verdict,
)
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOLERANCE = 0.2
"""Of the expected delay, at least of one computation: a bystander that waits for none may take a
fifth of a computation longer than it does when nothing is computed."""

EXPLAINED = 0.5
"""CPU seconds that other programs used, per second of excess, from which on they may be its cause."""

OTHER_ORDER = "nginx's log shows another order of the requests"
"""Why a trial is set aside. The rule rests on nginx's log, and never on the delay."""


ENDS = "end of those ahead"
"""What `mark_ends` is called in a legend."""


def stretch(busy: int, cores: float) -> tuple[float, float]:
    """Return the least and the most by which sharing the cores lengthens one of `busy` computations.

    Each core holds busy / cores of them, rounded down or up, when a scheduler moves none.
    """
    return max(1.0, math.floor(busy / cores)), max(1.0, math.ceil(busy / cores))


def fair_stretch(busy: int, cores: float) -> float:
    """Return how much sharing lengthens one of `busy` computations when each gets an equal part of the cores.

    Three on two cores take 1.5 times as long. Linux moves them so that they do, or nearly.
    """
    return max(1.0, busy / cores)


def predict_delays(
    computations: Sequence[int],
    *,
    replicas: Sequence[int],
    seconds: float,
    unloaded: float,
    cores: int,
) -> pd.DataFrame:
    """Return the delay of a bystander behind k computations on n replicas, for each k and n.

    It is L0 + floor(k / n) s f. The stretch f of b = min(k, n) busy replicas on C cores is b / C, and at
    least 1, when the scheduler shares the cores equally; whatever it does, f is between floor(b / C)
    and ceil(b / C).

    Args:
        computations: Each k.
        replicas: Each n.
        seconds: s, of CPU time.
        unloaded: L0, in seconds.
        cores: C.

    Returns:
        Columns: `replicas`, `computations`, `seconds`, `unloaded`, `ahead` (computations on the
        bystander's replica), `fair` (the delay when the cores are shared equally, s), `low` and
        `high` (its bounds under any scheduler, s).
    """
    rows = []
    for n in replicas:
        for k in computations:
            busy, ahead = min(k, n), k // n
            fair, low, high = (
                unloaded + ahead * seconds * f
                for f in (fair_stretch(busy, cores), *stretch(busy, cores))
            )
            rows.append([n, k, seconds, unloaded, ahead, fair, low, high])
    columns = ["replicas", "computations", "seconds", "unloaded", "ahead", "fair", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def summarise(samples: pd.DataFrame) -> pd.DataFrame:
    """Return one row per trial.

    Columns: `delay` of the bystander (s), `ahead` (computations that its replica did), `took` (s,
    all of those, one after the other), `rest` (s of that after the bystander was sent), `in_order`
    (nginx received every computation before the bystander), `answered` (all requests), and
    `others` (CPU seconds of everything else).
    """
    rows = []
    for key, part in samples.groupby(["attempt", "replicas", "trial", "computations"]):
        bystander = part[part["request"] == BYSTANDER].iloc[0]
        computations = part[part["request"] == COMPUTATION]
        ahead = computations[computations["instance"] == bystander["replica"]]
        by_then = bystander["received"] - RECEIVED_BEFORE
        rows.append(
            {
                **dict(zip(("attempt", "replicas", "trial", "computations"), key, strict=True)),
                "delay": float(bystander["latency"]),
                "ahead": len(ahead),
                "took": float(ahead["ended"].max() - ahead["sent"].min()) if len(ahead) else 0.0,
                "rest": max(0.0, ahead["ended"].max() - bystander["sent"]) if len(ahead) else 0.0,
                "in_order": bool((computations["received"] <= by_then).all()),
                "answered": bool((part["status"] == 200).all()),
                "others": float(part["others"].iloc[0]),
            }
        )
    return pd.DataFrame(rows)


def classify(samples: pd.DataFrame, prediction: pd.DataFrame) -> pd.DataFrame:
    """Return the trials, each beside the predicted row it belongs to (`case` is that one's index).

    Added are `expected`, the delay (s) when the bystander waits for the computations ahead of it
    and for nothing else; `late`, by how much its delay differs, in parts of the expected one or of
    one computation, whichever is longer; and whether the trial `counts`: the order of its requests
    was the predicted one.
    """
    cases = prediction.reset_index(names="case")
    trials = summarise(samples).merge(cases, on=["replicas", "computations"], suffixes=("", "_due"))
    trials["expected"] = trials["unloaded"] + trials["rest"]
    scale = trials[["expected", "seconds"]].max(axis=1)
    trials["late"] = (trials["delay"] - trials["expected"]) / scale
    trials["counts"] = trials["in_order"] & (trials["ahead"] == trials["ahead_due"])
    return trials


def counted(trials: pd.DataFrame) -> Counted:
    """Return the trials whose requests came in the predicted order, by nginx's log."""
    return set_aside(trials, ~trials["counts"], OTHER_ORDER)


def judge_delays(
    module: str, judged: str, samples: pd.DataFrame, prediction: pd.DataFrame
) -> Verdict:
    """Compare the median delay of each predicted case with what was ahead of the bystander.

    A delay that is shorter fails. A longer one fails unless other programs used enough of the cores
    to be the reason, which is a doubt; a busy machine makes no delay shorter. The computations
    themselves have to take as long as predicted, on cores that were free: never less.

    The attempts are pooled, because the median of more trials is the sharper one.
    """
    trials = classify(samples, prediction)
    cases = [
        _case(trials[trials["case"] == number], expected)
        for number, expected in prediction.to_dict("index").items()
    ]
    return verdict(module, judged, cases, pooled)


def _case(trials: pd.DataFrame, expected: Mapping[Any, Any]) -> Case:
    n, k = expected["replicas"], expected["computations"]
    kept = counted(trials)
    columns = {"delays": "delay", "expected": "expected", "took": "took", "counts": "counts"}
    details = {name: trials[column].tolist() for name, column in columns.items()}
    return Case(
        f"{plural(k, 'computation')}, {plural(n, 'replica')}",
        [_finding(trials, kept, expected)],
        {**expected, **details, "counted": str(kept)},
    )


def _finding(trials: pd.DataFrame, kept: Counted, expected: Mapping[Any, Any]) -> Finding:
    if trials.empty:
        return doubt("not measured")
    if not trials["answered"].all():
        return failure("not every request was answered")
    if kept.finding and len(kept.samples) < kept.of:
        return kept.finding
    middle = kept.samples[["delay", "expected", "late", "took", "others"]].median()
    if middle["late"] < -TOLERANCE:
        return failure("the bystander waited less than predicted")
    if middle["late"] <= TOLERANCE:
        return _computed(middle["took"], middle["others"], expected)
    if middle["others"] >= EXPLAINED * (middle["delay"] - middle["expected"]):
        return doubt("other programs kept the cores busy")
    return failure("the bystander waited longer than predicted")


def _computed(took: float, others: float, expected: Mapping[Any, Any]) -> Finding:
    """Return the finding on the time that the computations took, against the predicted range.

    Where other programs may have stretched them, the bystander's delay was compared with the
    stretched time, and the case is settled by that.
    """
    low, high = (expected[name] - expected["unloaded"] for name in ("low", "high"))
    one = expected["seconds"]
    if took < low - TOLERANCE * max(low, one):
        return failure("the computations took less time than predicted")
    excess = took - high
    if excess > TOLERANCE * max(high, one) and others < EXPLAINED * excess:
        return failure("the computations took longer than predicted, on cores that were free")
    return SETTLED


def mark_ends(ax: Axes, x: Any, y: Any) -> None:
    """Draw a dash where each bystander's answer is expected: at the end of the computations ahead."""
    named = ENDS in ax.get_legend_handles_labels()[1]
    ax.plot(x, y, "_", ms=13, mew=1.5, color=INK, label=None if named else ENDS, zorder=4)
