"""A ratio that anyone can choose: the delay behind 0 to 18 computations on one replica, against none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from labs.experiments.phase2.computations import measure_delays
from labs.experiments.phase2.delays import (
    classify,
    counted,
    judge_delays,
    mark_ends,
    predict_delays,
)
from labs.figures import (
    BLUE,
    FAULT_TEXT,
    PREDICTION,
    SOFT,
    canvas,
    legend,
    mark_set_aside,
    styled,
)
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How many times slower is a bystander behind k computations? As many as you like."

THEORY = (
    "On one replica the delay is L0 + k x s, and its ratio to L0 is 1 + k x s / L0: with a "
    "suitable k, this ratio takes any value."
)

ORIGINAL_COMPUTATIONS, ORIGINAL_SECONDS = 18, 3.0
"""What reproduces the number that the original course printed."""

ORIGINAL_DELAY, ORIGINAL_UNLOADED = 53.364, 0.116
"""Seconds, as it printed them: GET users on one instance behind computations, and on three."""

JUDGED = (
    "the delay grows with the number of computations, by the time that each takes: "
    "delays within 20 %; on free cores they take k x s"
)


def predict(computations: Sequence[int], *, seconds: float, unloaded: float) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    `seconds` is s, `unloaded` L0, both in seconds. Columns: those of `predict_delays`, on one replica,
    and `ratio` (of the delay to L0).
    """
    rows = predict_delays(computations, replicas=[1], seconds=seconds, unloaded=unloaded, cores=1)
    return rows.assign(ratio=rows["high"] / unloaded)


def measure(
    env: Environment,
    *,
    computations: Sequence[int] = (0, 1, 3, 6, 12, 18),
    seconds: float = 0.1,
    rounds: int = 1,
) -> pd.DataFrame:
    """Send k computations and a bystander to one replica: see `measure_delays`.

    18 computations of 3 s are the original's; every timeout on the way exceeds their 54 s, or nginx
    would repeat them elsewhere.
    """
    return measure_delays(env, computations, [1], seconds=seconds, rounds=rounds)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Judge the median delay for each k: see `judge_delays`. No ratio is judged."""
    return judge_delays(__name__, JUDGED, samples, prediction)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the delay (s, logarithmic) against k; the original's two numbers beside its own prediction."""
    trials = classify(samples, prediction)
    figure, (ax,) = canvas(
        "Choose k, and get any ratio",
        runtime=samples["runtime"].iloc[0],
        note="one replica",
        height=4.6,
    )
    kept, others = trials[trials["counts"]], trials[~trials["counts"]]
    ax.plot(kept["computations"], kept["delay"], "o", ms=7, color=BLUE, label="measured", zorder=3)
    mark_ends(ax, kept["computations"], kept["expected"])
    mark_set_aside(ax, others["computations"], others["delay"])
    seconds, unloaded = (float(prediction[name].iloc[0]) for name in ("seconds", "unloaded"))
    _draw_theory(ax, seconds, unloaded, f"predicted, {seconds:g} s each", PREDICTION)
    if seconds != ORIGINAL_SECONDS:
        faint = PREDICTION | {"color": SOFT, "linewidth": 1.1}
        _draw_theory(ax, ORIGINAL_SECONDS, ORIGINAL_UNLOADED, "3 s each", faint)
    _name_ratios(ax, kept, unloaded)
    _name_original(ax)
    ax.set_yscale("log")
    ax.set_xticks(sorted({0, ORIGINAL_COMPUTATIONS, *prediction["computations"]}))
    figure.supxlabel(str(counted(trials)), size=9, color=SOFT)
    ax.set_xlabel("computations sent together, just before (count)")
    ax.set_ylabel("delay of GET /api/users (s)")
    ax.set_ylim(top=3 * ax.get_ylim()[1])
    legend(figure, ax)
    return figure


def _draw_theory(
    ax: Axes, seconds: float, unloaded: float, label: str, style: dict[str, Any]
) -> None:
    k = np.linspace(0, ORIGINAL_COMPUTATIONS, 200)
    ax.plot(k, unloaded + k * seconds, label=label, **style)


def _name_ratios(ax: Axes, trials: pd.DataFrame, unloaded: float) -> None:
    """Write beside each delay how many times that of an unloaded gateway it is."""
    for k, delay in trials[trials["computations"] > 0].groupby("computations")["delay"]:
        text, at = f"{delay.median() / unloaded:,.0f} x", (float(str(k)), delay.median())
        _write(ax, text, at, (8, -13), "left", SOFT)


def _name_original(ax: Axes) -> None:
    """Draw the two printed numbers as points."""
    slow, fast = (ORIGINAL_COMPUTATIONS, ORIGINAL_DELAY), (0, ORIGINAL_UNLOADED)
    ax.plot(*zip(slow, fast, strict=True), "D", color=FAULT_TEXT, ms=7, zorder=4)
    _write(ax, "the original: 53,364 ms, 457 x", slow, (0, 11), "right", FAULT_TEXT)
    line = {"arrowstyle": "-", "color": FAULT_TEXT, "linewidth": 0.8}
    _write(ax, "the original: 116 ms", fast, (34, -62), "left", FAULT_TEXT, arrowprops=line)


def _write(
    ax: Axes,
    text: str,
    at: tuple[float, float],
    shift: tuple[int, int],
    side: str,
    colour: str,
    **style: Any,
) -> None:
    style |= {"ha": side, "size": 9, "color": colour, "zorder": 5}
    ax.annotate(text, at, xytext=shift, textcoords="offset points", **style)
