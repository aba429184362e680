"""How every figure of the course looks: palette, sizes, titles, predictions, faults, badges.

The `plot` of an experiment is decorated with `@styled`, makes its axes with `canvas`, and returns the figure.
Measurements are solid and coloured; predictions are dashed and dark; faults are shaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler

from labs.verdicts import COLOURS, Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

Parameters = ParamSpec("Parameters")

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
SKY, VERMILLION, YELLOW = "#56B4E9", "#D55E00", "#F0E442"
PALETTE = (BLUE, ORANGE, GREEN, PINK, SKY, VERMILLION, YELLOW)
"""The colours of Okabe and Ito, which readers with any common colour blindness can distinguish."""

INK, SOFT, FAINT = "#1f2933", "#66717d", "#dfe3e8"
"""Text and predictions; secondary text; grid lines."""

FAULT_TEXT = "#a34400"
"""Vermillion, darkened so that text in it is readable."""

FAULT: dict[str, Any] = {"color": VERMILLION, "alpha": 0.13, "linewidth": 0, "zorder": 0.5}
"""How the time of a fault is shaded (`axvspan`)."""

WIDTH = 9.0
"""The width of every figure in inches, so that figures on a page line up."""

HEAD, LINE, GAP = 0.62, 0.22, 0.15
"""Inches: the two lines above the axes, a third one, and the room between a line's text and the legend."""

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=PALETTE),
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 2.0,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.dpi": 100,
    "savefig.dpi": 160,
}

PREDICTION: dict[str, Any] = {"color": INK, "linewidth": 1.6, "linestyle": (0, (5, 2.5))}
"""How every predicted line is drawn."""


def styled(plot: Callable[Parameters, Figure]) -> Callable[Parameters, Figure]:
    """Draw the decorated figure in the course's style, without changing that of matplotlib.

    The style begins with matplotlib's defaults: a `matplotlibrc` of the user is for other figures.
    """

    @wraps(plot)
    def in_style(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Figure:
        with plt.style.context(["default", STYLE]):
            return plot(*args, **kwargs)

    return in_style


def canvas(
    title: str,
    *,
    runtime: str,
    note: str = "",
    rows: int = 1,
    height: float = 3.6,
    ratios: Sequence[float] | None = None,
    share: bool = True,
) -> tuple[Figure, list[Axes]]:
    """Return a figure and its axes, one below the other.

    Args:
        title: What the run showed, on the first line.
        runtime: The runtime it was measured on, on the second line.
        note: What else stands on the second line, such as the number of samples.
        rows: How many axes there are.
        height: The height of the whole figure, in inches.
        ratios: The relative heights of the axes.
        share: Whether all axes have the same x axis.
    """
    figure, axes = plt.subplots(
        rows,
        squeeze=False,
        sharex=share,
        figsize=(WIDTH, height),
        gridspec_kw={"height_ratios": ratios} if ratios else None,
    )
    _leave_head(figure, HEAD)
    figure.text(
        0.012, 1 - 0.12 / height, title, size=13, weight="bold", ha="left", va="top", color=INK
    )
    subtitle = f"runtime: {runtime}" + (f"  ·  {note}" if note else "")
    figure.text(0.012, 1 - 0.40 / height, subtitle, size=9, color=SOFT, ha="left", va="top")
    return figure, list(axes[:, 0])


def _leave_head(figure: Figure, inches: float) -> None:
    """Leave so much room above the axes: in inches, so that tall and flat figures look alike."""
    share = inches / figure.get_size_inches()[1]
    figure.set_layout_engine("constrained", rect=(0, 0, 1, 1 - share))


def legend(figure: Figure, axes: Axes) -> None:
    """Put the legend of `axes` at the right end of the figure's second line, or below a line that is too long."""
    height = figure.get_size_inches()[1]
    handles, labels = axes.get_legend_handles_labels()
    box = figure.legend(
        handles,
        labels,
        loc="upper right",
        bbox_to_anchor=(0.992, 1 - 0.38 / height),
        ncols=len(labels),
        borderaxespad=0,
        borderpad=0,
        columnspacing=1.4,
        handlelength=2.4,
    )
    box.set_in_layout(False)
    _, subtitle = figure.texts[:2]
    if subtitle.get_window_extent().x1 > box.get_window_extent().x0 - GAP * figure.dpi:
        box.set_bbox_to_anchor((0.992, 1 - (0.38 + LINE) / height))
        _leave_head(figure, HEAD + LINE)


def name_fault(axes: Axes, began: float, ended: float, text: str) -> None:
    """Write above the axes what the shaded time from `began` to `ended` is."""
    axes.annotate(
        text,
        ((began + ended) / 2, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        size=9,
        color=FAULT_TEXT,
    )


def predicted_band(axes: Axes, low: float, high: float, *, label: str | None = None) -> None:
    """Draw a horizontal band, in y units, in which the prediction places the measurement."""
    axes.axhspan(low, high, color=INK, alpha=0.08, linewidth=0, label=label, zorder=0.6)
    for edge in np.unique([low, high]):
        axes.axhline(edge, **{**PREDICTION, "linewidth": 0.9})


SET_ASIDE = "set aside"


def mark_set_aside(axes: Axes, x: Any, y: Any) -> None:
    """Draw hollow the samples that the verdict does not count; the legend names them once.

    The rule by which they were set aside belongs in the figure's note: `canvas(note=str(counted))`.
    """
    if len(x):
        named = SET_ASIDE in axes.get_legend_handles_labels()[1]
        label = None if named else SET_ASIDE
        axes.plot(x, y, "o", ms=6, color=SOFT, mfc="none", zorder=3, label=label)


def badge(figure: Figure, verdict: Verdict) -> Text:
    """Put the verdict in the figure's upper right corner."""
    height = figure.get_size_inches()[1]
    return figure.text(
        0.988,
        1 - 0.14 / height,
        verdict.outcome.upper(),
        ha="right",
        va="top",
        size=10,
        weight="bold",
        color="white",
        bbox={
            "boxstyle": "round,pad=0.35,rounding_size=0.3",
            "facecolor": COLOURS[verdict.outcome],
            "edgecolor": "none",
        },
    )
