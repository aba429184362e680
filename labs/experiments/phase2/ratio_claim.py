"""The famous 457x."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from labs.experiments.phase2 import cpu_blocking
from labs.experiments.phase2.computations import classify, judge_delays
from labs.figures import BLUE, FAULT_TEXT, PREDICTION, SOFT, canvas, legend, styled
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How many times slower is a bystander behind k computations? As many as you like."

THEORY = (
    "On one replica the delay is L0 + k x s, and its ratio to L0 is 1 + k x s / L0: there "
    "is no ratio that some k does not give."
)

ORIGINAL_COMPUTATIONS, ORIGINAL_SECONDS = 18, 3.0
"""What reproduces the number that the original course printed."""

ORIGINAL_DELAY, ORIGINAL_UNLOADED = 53.364, 0.116
"""Seconds, as it printed them: GET users on one instance behind computations, and on three."""

JUDGED = (
    "the delay grows with the number of computations, by the time of one with each: "
    "delays within 20 % of k x s"
)


def predict(computations: Sequence[int], *, seconds: float, unloaded: float) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    `seconds` is s, `unloaded` L0, both in seconds. Columns: `replicas` (1), `computations`,
    `seconds`, `ahead`, `low` and `high` (the delay, s), `ratio`.
    """
    rows = cpu_blocking.predict(
        computations, replicas=[1], seconds=seconds, unloaded=unloaded, cores=1
    )
    return rows.assign(ratio=rows["high"] / unloaded)


def measure(
    env: Environment,
    *,
    computations: Sequence[int] = (0, 1, 3, 6, 12, 18),
    seconds: float = 0.1,
    rounds: int = 1,
) -> pd.DataFrame:
    """As `cpu_blocking.measure`, on one replica. 18 computations of 3 s are the original's; every
    timeout on the way exceeds their 54 s, or nginx would repeat them elsewhere.
    """
    return cpu_blocking.measure(
        env, computations=computations, replicas=[1], seconds=seconds, rounds=rounds
    )


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """For each k, the median delay is within the tolerated range. No ratio is judged."""
    return judge_delays(__name__, JUDGED, samples, prediction)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Delay (s, logarithmic) against k; the original's two numbers beside its own prediction."""
    figure, (ax,) = canvas(
        "Choose k, and get any ratio",
        runtime=samples["runtime"].iloc[0],
        note="one replica",
        height=4.6,
    )
    trials = classify(samples, prediction)
    for worth, face, label in (("counts", BLUE, "measured"), ("disturbed", "none", "set aside")):
        mine = trials[trials["worth"] == worth]
        if len(mine):
            style: dict[str, Any] = {
                "ms": 7,
                "color": BLUE,
                "mfc": face,
                "label": label,
                "zorder": 3,
            }
            ax.plot(mine["computations"], mine["delay"], "o", **style)
    seconds = float(prediction["seconds"].iloc[0])
    unloaded = float((prediction["high"] / prediction["ratio"]).iloc[0])
    _draw_theory(ax, seconds, unloaded, f"predicted, {seconds:g} s each", PREDICTION)
    if seconds != ORIGINAL_SECONDS:
        faint = PREDICTION | {"color": SOFT, "linewidth": 1.1}
        _draw_theory(ax, ORIGINAL_SECONDS, ORIGINAL_UNLOADED, "3 s each", faint)
    _name_ratios(ax, trials, unloaded)
    _name_original(ax)
    ax.set_yscale("log")
    ax.set_xticks(sorted({0, ORIGINAL_COMPUTATIONS, *prediction["computations"]}))
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
    """Beside each delay, how many times that of an unloaded gateway it is."""
    for k, delay in trials[trials["computations"] > 0].groupby("computations")["delay"]:
        text, at = f"{delay.median() / unloaded:,.0f} x", (float(str(k)), delay.median())
        _write(ax, text, at, (8, -13), "left", SOFT)


def _name_original(ax: Axes) -> None:
    """The two printed numbers, as points."""
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
