"""What the axes of the figure of `health_check` show: failed attempts with their bound, and how long clients waited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.figures import BLUE, ORANGE, PREDICTION, VERMILLION

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_failed(ax: Axes, requests: pd.DataFrame, expected: Mapping[Any, Any]) -> None:
    """Draw the failed attempts so far, and how many were allowed by then (a bound)."""
    ends = (requests["sent"] + requests["latency"] - requests["began"]).sort_values()
    ax.step(ends, requests["failed"][ends.index].cumsum(), where="post", color=VERMILLION)
    length = requests["ended"].iloc[0] - requests["began"].iloc[0]
    moments = ends[ends >= 0].clip(upper=length)
    allowed = expected["failed"] + moments // expected["every"]
    ax.step(ends[ends >= 0], allowed, where="post", **PREDICTION)
    ax.annotate(
        "bound",
        (ends.iloc[-1], allowed.iloc[-1]),
        xytext=(0, 4),
        textcoords="offset points",
        ha="right",
        size=9,
    )
    ax.set_ylim(-0.05 * float(allowed.max()), 1.25 * float(allowed.max()))
    ax.locator_params(axis="y", integer=True)
    ax.set_ylabel("failed (count)")


def draw_waits(ax: Axes, requests: pd.DataFrame, expected: Mapping[Any, Any]) -> None:
    """Draw each request's latency, by the replica that answered it; at its longest, what was predicted."""
    since = requests["sent"] - requests["began"]
    length = requests["ended"].iloc[0] - requests["began"].iloc[0]
    longest = min(length, expected["longest"])
    edges = [0, length - longest, length]
    ax.plot(edges, [longest, longest, 0], label="bound", **PREDICTION)
    for at_fault, colour, name in ((True, ORANGE, "the faulty one"), (False, BLUE, "others")):
        answered = (requests["replica"] == requests["faulty"]) == at_fault
        style: dict[str, Any] = {"ms": 4, "color": colour, "label": f"answered by {name}"}
        ax.plot(since[answered], requests["latency"][answered], "o", **style)
    ax.set_ylabel("latency (s)")
