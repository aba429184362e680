"""What the axes of the figure of `overload` show: latencies, the lag, and rates in units of mu."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from labs.experiments.phase4.names import HTTP, KAFKA
from labs.figures import BLUE, GREEN, INK, ORANGE, PINK, PREDICTION, SOFT, VERMILLION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ANSWERED, LEFT, ACCEPTED, DONE, LAG = BLUE, VERMILLION, GREEN, ORANGE, PINK
"""One colour for one thing in all axes: orders answered with HTTP, orders whose clients left, orders accepted and
done with Kafka, and the lag."""

ORIGINAL = (50, 1000)
"""Requests per second that the original course printed, for HTTP and for Kafka."""


def name_step(ax: Axes, begins: float, text: str) -> None:
    """Mark where a step of the load begins, and write `text` beside it."""
    ax.axvline(begins, color=SOFT, linewidth=0.8)
    ax.annotate(
        text,
        (begins, 1),
        xycoords=("data", "axes fraction"),
        xytext=(4, 2),
        textcoords="offset points",
        size=8.5,
        color=SOFT,
    )


def draw_http(ax: Axes, orders: pd.DataFrame, row: dict[Any, Any], begins: float) -> None:
    """Draw the latencies of one step with HTTP, crosses for orders that were not answered; predicted ones dashed."""
    at, ok = begins + orders["since"], orders["ok"].astype(bool)
    ax.plot(at[ok], orders["latency"][ok], ".", color=ANSWERED, ms=4)
    ax.plot(at[~ok], orders["latency"][~ok], "x", color=LEFT, ms=5)
    over = max(0.0, row["step"] - 1)
    edges = np.array([0, row["share"] * row["step_seconds"]])
    ax.plot(begins + edges, row["seconds"] + over * edges, **PREDICTION)


def draw_lag(ax: Axes, samples: pd.DataFrame, row: dict[Any, Any], begins: float) -> None:
    """Draw the lag of one step with Kafka; its predicted growth, through the mean of what is judged, dashed."""
    looks = samples[samples["what"] == "lag"]
    ax.plot(begins + looks["since"], looks["behind"], ".", color=LAG, ms=4)
    settled = looks[looks["since"] >= row["settled"]]
    if not settled.empty:
        middle = settled["since"].mean()
        edges = np.array([row["settled"], row["step_seconds"]])
        line = settled["behind"].mean() + row["slope"] * (edges - middle)
        ax.plot(begins + edges, line, **PREDICTION)


def draw_rates(ax: Axes, table: pd.DataFrame) -> None:
    """Draw accepted and done against offered, in units of mu."""
    http, kafka = (table[table["design"] == design] for design in (HTTP, KAFKA))
    done = kafka["step"] - kafka["growth"] / kafka["mu"]
    answered = http["step"] * http["answered"]
    ax.plot(kafka["step"], kafka["step"] * kafka["answered"], "o", color=ACCEPTED, ms=8)
    ax.plot(kafka["step"], done, "o", color=DONE, ms=8)
    ax.plot(http["step"], answered, "x", color=ANSWERED, ms=8, mew=2)


def name_colours(ax: Axes, *names: tuple[str, str, str]) -> None:
    """Give an axes a legend of its own, of (marker, colour, label) and the prediction, in its upper left corner."""
    handles = [
        *(
            ax.plot([], [], marker, color=colour, ms=6, label=label)[0]
            for marker, colour, label in names
        ),
        ax.plot([], [], label="predicted", **PREDICTION)[0],
    ]
    ax.legend(handles=handles, loc="upper left")


def finish_rates(ax: Axes, mu: float) -> None:
    """Add the prediction, the original's points, labels and a scale in units of mu."""
    offered = np.array([0.3, 1, 40])
    ax.plot(offered, np.minimum(offered, 1), **PREDICTION)
    ax.plot(offered, offered, **{**PREDICTION, "linewidth": 0.9})
    before, after = ORIGINAL
    ax.plot([1, after / before], [1, after / before], "*", ms=15, color=INK, mfc="none", zorder=5)
    text = f"the original: {after}+ requests/s,\naccepted, and not done"
    note: dict[str, Any] = {"textcoords": "offset points", "size": 8.5, "color": SOFT}
    ax.annotate(text, (after / before, after / before), xytext=(14, -62), ha="right", **note)
    ax.annotate(f"the original: {before} requests/s", (1, 1), xytext=(-2, 10), ha="right", **note)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ticks = [0.5, 1, 2, 5, 10, 20]
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.set_ticks([], minor=True)
    ax.set_xlim(0.4, 30)
    ax.set_ylim(0.3, 40)
    ax.set_xlabel(f"orders offered (in units of mu, {mu:g} payments/s)")
    ax.set_ylabel("orders per second\n(in units of mu)")
