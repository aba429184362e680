"""How a release is drawn: which replica served each request, and version 2's share over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.experiments.phase3.attempts import drawn_attempt, note_attempt
from labs.experiments.phase3.releases.judging import sort_attempts
from labs.figures import BLUE, GREEN, PREDICTION, SOFT, VERMILLION, canvas, legend, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BIN = 0.25
"""Seconds: the share of version 2 is drawn as that within each."""

COLOURS = {"1": BLUE, "2": GREEN}


@styled
def plot_release(
    samples: pd.DataFrame, prediction: pd.DataFrame, *, action: str, time_label: str, height: float
) -> Figure:
    """Draw which replica served each request over time (s), and version 2's share (%).

    Args:
        samples: `Posts.samples` of all attempts.
        prediction: The predicted `share` and `failed` of each `step`.
        action: What was done, for the title.
        time_label: The label of the time axis.
        height: In inches.
    """
    drawn = drawn_attempt(samples, sort_attempts(samples).clear)
    failed = int((~drawn["ok"]).sum())
    figure, axes = canvas(
        f"{action}: {failed} of {len(drawn)} POSTs failed",
        runtime=drawn["runtime"].iloc[0],
        note=f"{prediction['failed'].sum():g} predicted to fail{note_attempt(samples, drawn)}",
        rows=2,
        height=height,
        ratios=[1.5, 1],
    )
    draw_replicas(axes[0], drawn)
    draw_share(axes[1], drawn, prediction)
    axes[1].set_xlabel(time_label)
    legend(figure, axes[0])
    return figure


def draw_replicas(ax: Axes, samples: pd.DataFrame) -> None:
    """Draw each request where its replica is, coloured by the version that served it."""
    since = _since(samples)
    replicas = sorted(set(samples["replica"]) - {""}, reverse=True)
    lane = samples["replica"].map({name: at for at, name in enumerate(replicas)})
    lane = lane.fillna(-1)
    for version, colour in COLOURS.items():
        served = samples["ok"] & (samples["version"] == version)
        style: dict[str, Any] = {"color": colour, "ms": 11, "mew": 1.4}
        ax.plot(since[served], lane[served], "|", label=f"version {version}", **style)
    failed = ~samples["ok"]
    ax.plot(since[failed], lane[failed], "x", color=VERMILLION, ms=7, mew=1.8, label="failed")
    ax.plot([], [], label="predicted", **PREDICTION)
    ax.set_yticks(range(len(replicas)), replicas)
    ax.set_ylim(-0.6 - bool((lane < 0).any()), len(replicas) - 0.4)
    ax.grid(visible=False)
    _draw_steps(ax, samples, since)


def draw_share(ax: Axes, samples: pd.DataFrame, prediction: pd.DataFrame) -> None:
    """Draw the shares (%) of version 2 and of failures over time, and each step's predicted, dashed."""
    since = _since(samples)
    bins = (since // BIN * BIN).clip(lower=since.min())
    for counted, colour, column in (
        (samples["version"] == "2", COLOURS["2"], "share"),
        (~samples["ok"], VERMILLION, "failed"),
    ):
        share = 100 * counted.groupby(bins).mean()
        edges, heights = [*share.index, since.max()], [*share, share.iloc[-1]]
        ax.step(edges, heights, where="post", color=colour, clip_on=False)
        predicted = _stairs(since, samples["step"], prediction, column)
        ax.plot(*zip(*predicted, strict=True), **PREDICTION)
    ax.set_ylim(-4, 104)
    ax.set_yticks([0, 50, 100])
    ax.set_ylabel("requests (%)")
    _draw_steps(ax, samples, since, named=False)


def _stairs(
    since: pd.Series[float], steps: pd.Series[str], prediction: pd.DataFrame, column: str
) -> list[tuple[float, float]]:
    """Return the predicted share (%) over time: a step's stages divide its time evenly."""
    edges: list[tuple[float, float]] = []
    for name, stages in prediction.groupby("step", sort=False):
        began, ended = since[steps == name].agg(["min", "max"])
        length = (ended - began) / len(stages)
        for number, expected in enumerate(stages[column]):
            edges += [(began + (number + at) * length, 100 * expected) for at in (0, 1)]
    return edges


def _since(samples: pd.DataFrame) -> pd.Series[float]:
    """Return the seconds since the first step ended."""
    first = samples["step"] == samples["step"].iloc[0]
    return samples["sent"] - float(samples.loc[~first, "sent"].min())


def _draw_steps(
    ax: Axes, samples: pd.DataFrame, since: pd.Series[float], *, named: bool = True
) -> None:
    spans: Mapping[Any, pd.Series[float]] = dict(list(since.groupby(samples["step"])))
    for number, name in enumerate(dict.fromkeys(samples["step"])):
        began, ended = spans[name].min(), spans[name].max()
        if number:
            ax.axvline(began, color=SOFT, linewidth=0.8, zorder=0.4)
        if named:
            ax.annotate(
                str(name),
                ((began + ended) / 2, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 4),
                textcoords="offset points",
                ha="center",
                size=9,
                color=SOFT,
            )
