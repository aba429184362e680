"""One queue on each event loop: k computations on n replicas, and a bystander behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.experiments.bystanders import USERS
from labs.experiments.phase2.computations import measure_delays
from labs.experiments.phase2.delays import (
    classify,
    counted,
    judge_delays,
    mark_ends,
    predict_delays,
)
from labs.figures import PALETTE, PREDICTION, SOFT, canvas, legend, mark_set_aside, styled
from labs.judging import plural
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How long do computations on the event loop keep a bystander waiting?"

THEORY = (
    "Of k computations sent together to n replicas in turn, floor(k / n) are ahead of the "
    "bystander on the replica that is next. It waits for them: L0 + floor(k / n) x s x f."
)

JUDGED = (
    "the bystander waits for the computations ahead of it on its own replica, as long as they take, "
    "and for no other: delays within 20 %; on free cores they take the predicted time"
)


def predict(
    computations: Sequence[int],
    *,
    replicas: Sequence[int],
    seconds: float,
    unloaded: float,
    cores: int,
) -> pd.DataFrame:
    """Return `THEORY` as numbers: see `predict_delays`."""
    return predict_delays(
        computations, replicas=replicas, seconds=seconds, unloaded=unloaded, cores=cores
    )


def measure(
    env: Environment,
    *,
    computations: Sequence[int] = (0, 1, 2, 4),
    replicas: Sequence[int] = (1, 3),
    seconds: float = 0.3,
    rounds: int = 2,
) -> pd.DataFrame:
    """Send k computations of `seconds` CPU time and a bystander: see `measure_delays`."""
    return measure_delays(env, computations, replicas, seconds=seconds, rounds=rounds)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Judge the median delay for each k on each number of replicas: see `judge_delays`."""
    return judge_delays(__name__, JUDGED, samples, prediction)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the delay (s) behind so many computations, a colour per number of replicas."""
    trials = classify(samples, prediction)
    figure, (ax,) = canvas(
        "How long a bystander waits behind computations",
        runtime=samples["runtime"].iloc[0],
        note=f"{prediction['seconds'].iloc[0]:g} s each",
        height=4.4,
    )
    counts = sorted(set(prediction["computations"]))
    groups = list(trials.groupby("replicas"))
    for index, (n, part) in enumerate(groups):
        shift = 0.3 * (index - (len(groups) - 1) / 2)
        place = {k: number + shift for number, k in enumerate(counts)}
        _draw_replicas(ax, part, place, colour=PALETTE[index], name=plural(int(str(n)), "replica"))
    ax.plot([], [], label="predicted", **PREDICTION)
    ax.set_xticks(range(len(counts)), [str(k) for k in counts])
    ax.set_xlim(-0.5, len(counts) - 0.5)
    ax.grid(axis="x", visible=False)
    figure.supxlabel(str(counted(trials)), size=9, color=SOFT)
    ax.set_xlabel("computations sent together, just before (count)")
    ax.set_ylabel(f"delay of GET {USERS} (s)")
    legend(figure, ax)
    return figure


def _draw_replicas(
    ax: Axes, trials: pd.DataFrame, place: Mapping[Any, float], *, colour: str, name: str
) -> None:
    """Draw each case's predicted range as a dashed box, and the trials on it."""
    for k, case in trials.groupby("computations"):
        low, high = case["low"].iloc[0], case["high"].iloc[0]
        left, right = place[k] - 0.13, place[k] + 0.13
        ax.fill_between([left, right], low, high, color=colour, alpha=0.15, linewidth=0)
        for edge in {low, high}:
            ax.plot([left, right], [edge, edge], **PREDICTION)
    shift = trials.groupby("computations").cumcount() % 3 * 0.06 - 0.06
    at, counts = trials["computations"].map(place) + shift, trials["counts"]
    ax.plot(at[counts], trials[counts]["delay"], "o", ms=7, color=colour, label=name, zorder=3)
    mark_ends(ax, at[counts], trials[counts]["expected"])
    mark_set_aside(ax, at[~counts], trials[~counts]["delay"])
