"""A ratio that anyone can choose: the delay behind 0 to 18 computations on one replica, against none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

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
    PREDICTION,
    SOFT,
    canvas,
    legend,
    mark_set_aside,
    styled,
)
from labs.guessing import Guess, within_factor
from labs.judging import plural
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

JUDGED = (
    "the delay grows with the number of computations, by the time that each takes: "
    "delays within 20 %; on free cores they take k x s"
)

GUESSES = {
    "ratio": Guess(
        "Twelve computations of 0.1 s are sent to one replica (of 3 s in the full profile). How many "
        "times as long as usual does a request take that comes right behind them?",
        "times",
        measured=lambda samples: _largest_ratio(samples),
        right=within_factor(2.5),
        reference=300,
        theory=lambda prediction: prediction["ratio"].max(),
    ),
}


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

    Every timeout on the way exceeds 18 computations of 3 s, or nginx would repeat them elsewhere.
    """
    return measure_delays(env, computations, [1], seconds=seconds, rounds=rounds)


def _largest_ratio(samples: pd.DataFrame) -> float:
    """Return the median delay behind the most computations, as a multiple of that behind none."""
    bystanders = samples[samples["request"] == "bystander"]
    medians = bystanders.groupby("computations")["latency"].median().sort_index()
    return float(medians.iloc[-1] / medians[0])


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Judge the median delay for each k: see `judge_delays`. No ratio is judged."""
    return judge_delays(__name__, JUDGED, samples, prediction)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the delay (s) against k, and beside each how many times that of no computation it is."""
    trials = classify(samples, prediction)
    seconds, unloaded = (float(prediction[name].iloc[0]) for name in ("seconds", "unloaded"))
    ratios = trials.groupby("computations")["delay"].median() / unloaded
    counts = sorted(set(prediction["computations"]))
    one, most = counts[1], counts[-1]
    figure, (ax,) = canvas(
        f"{plural(one, 'computation')} made it {ratios[one]:,.0f} times slower, "
        f"{most} made it {ratios[most]:,.0f} times slower",
        runtime=samples["runtime"].iloc[0],
        note=f"one replica, {seconds:g} s each",
        height=4.4,
    )
    kept, others = trials[trials["counts"]], trials[~trials["counts"]]
    ax.plot(prediction["computations"], prediction["fair"], label="predicted", **PREDICTION)
    ax.plot(kept["computations"], kept["delay"], "o", ms=7, color=BLUE, label="measured", zorder=3)
    mark_ends(ax, kept["computations"], kept["expected"])
    mark_set_aside(ax, others["computations"], others["delay"])
    for k, delay in kept.groupby("computations")["delay"]:
        _write(ax, f"{delay.median() / unloaded:,.0f} x", (float(str(k)), delay.median()))
    ax.set_xticks(counts)
    ax.set_xlim(-0.8, 1.08 * most)
    ax.set_ylim(bottom=-0.12 * float(trials["delay"].max()))  # room for the first ratio
    figure.supxlabel(str(counted(trials)), size=9, color=SOFT)
    ax.set_xlabel("computations sent together, just before (count)")
    ax.set_ylabel("delay of GET /api/users (s)")
    legend(figure, ax)
    return figure


def _write(ax: Axes, text: str, at: tuple[float, float]) -> None:
    style: dict[str, Any] = {"textcoords": "offset points", "size": 9, "color": SOFT}
    ax.annotate(text, at, xytext=(9, -12), **style)
