"""The figures of the page of a class: what was guessed, and how sure the class was against how often it was right."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from labs.figures import BLUE, GREEN, INK, ORANGE, PREDICTION, SOFT, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from labs.grading.contributions import Guessed

SIZE = (5.6, 2.9)
"""Inches: small, so that the text of a figure can be read on a telephone and from the last row."""

WIDE = 30.0
"""From this ratio of the largest to the smallest number on, the axis is logarithmic."""

FENCE = 3.0
"""Guesses this many interquartile ranges beyond the quartiles lie outside of the axis, which states their number."""

MOST_COUNTS = 40
"""Whole numbers have a bar each, up to so many bars."""

BARS = 30

MOST = 1e15
"""Numbers from here on lie outside of every axis."""

KINDS = ((True, "right", BLUE), (False, "not right", ORANGE), (None, "not compared", SOFT))

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """The values that an axis shows, from `low` to `high`."""

    low: float
    high: float
    logarithmic: bool

    @classmethod
    def of(cls, guesses: Numbers, others: Numbers) -> Axis:
        """Return an axis for the guesses, which always holds the other numbers."""
        guesses, others = (each[np.abs(each) < MOST] for each in (guesses, others))
        if (others > 0).all() and (guesses > 0).any():
            low, high = _limits(np.log10(guesses[guesses > 0]), np.log10(others), least=0.3)
            if high - low > np.log10(WIDE):
                return cls(10**low, 10**high, True)
        if not len(guesses) + len(others):
            return cls(0, 1, False)
        middle = float(np.median(guesses)) if len(guesses) else 0.0
        return cls(*_limits(guesses, others, least=max(1.0, abs(middle) / 2)), False)

    def holds(self, values: Numbers) -> npt.NDArray[np.bool_]:
        """Return which values the axis shows."""
        low, high = self.low - 1e-9 * abs(self.low), self.high + 1e-9 * abs(self.high)
        return (values >= low) & (values <= high)

    def edges(self, values: Numbers) -> Numbers:
        """Return the edges of the bars for these values: one bar for each whole number, where that is possible."""
        if self.logarithmic:
            return np.geomspace(self.low / 1.1, self.high * 1.1, BARS + 1)
        span = self.high - self.low
        if (values == np.round(values)).all() and span <= MOST_COUNTS:
            return np.arange(np.floor(self.low) - 0.5, np.ceil(self.high) + 1)
        margin = 0.03 * span or 0.05 * abs(self.low) or 0.5
        return np.linspace(self.low - margin, self.high + margin, BARS + 1)


def _limits(guesses: Numbers, others: Numbers, least: float) -> tuple[float, float]:
    """Return the range of the guesses within their fence and of the others; `least` bounds the quartile range."""
    if len(guesses):
        first, last = np.quantile(guesses, [0.25, 0.75])
        fence = FENCE * max(last - first, least)
        guesses = guesses[(guesses >= first - fence) & (guesses <= last + fence)]
    shown = np.concatenate([guesses, others])
    return float(shown.min()), float(shown.max())


@styled
def guesses_figure(guesses: Sequence[Guessed], unit: str) -> Figure:
    """Draw the guesses of one quantity as bars, with the theory and what was measured on the same axis."""
    values = np.array([each.value for each in guesses])
    theory = sorted({float(f"{each.theory:.3g}") for each in guesses if each.theory is not None})
    measured = np.array([each.measured for each in guesses if each.measured is not None], float)
    axis = Axis.of(values, np.concatenate([theory, measured]))
    shown = axis.holds(values)
    figure, (top, below) = plt.subplots(
        2, sharex=True, figsize=SIZE, height_ratios=(5, 1), layout="constrained"
    )
    _draw_bars(top, [each for each, yes in zip(guesses, shown, strict=True) if yes], axis)
    below.plot(measured, np.zeros(len(measured)), "|", color=GREEN, ms=11, mew=1.6, alpha=0.7)
    below.set_yticks([0], ["measured"])
    below.grid(visible=False, axis="y")
    for number, place in enumerate(theory):
        for axes in (top, below):
            axes.axvline(place, label="theory" if number == 0 else None, **PREDICTION)
    outside = len(values) - int(shown.sum())
    note = f"; {outside} outside of this axis" if outside else ""
    below.set_xlabel(f"guess ({unit}){note}")
    figure.legend(*top.get_legend_handles_labels(), loc="outside upper right", ncols=4)
    return figure


def _draw_bars(axes: Axes, guesses: Sequence[Guessed], axis: Axis) -> None:
    edges = axis.edges(np.array([each.value for each in guesses]))
    below = np.zeros(len(edges) - 1)
    for right, label, colour in KINDS:
        values = [each.value for each in guesses if each.right is right]
        if not values:
            continue
        counts, _ = np.histogram(values, edges)
        style: dict[str, Any] = {"color": colour, "edgecolor": "white", "linewidth": 0.5}
        axes.bar(edges[:-1], counts, np.diff(edges), below, align="edge", label=label, **style)
        below += counts
    if axis.logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    elif edges[1] - edges[0] == 1:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(edges[0], edges[-1])
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.set_ylabel("students")


@styled
def calibration_figure(levels: Sequence[dict[str, Any]]) -> Figure:
    """Draw the share of right guesses against how sure the class was; the area of a point is its number of guesses."""
    figure, axes = plt.subplots(figsize=SIZE, layout="constrained")
    axes.plot([50, 100], [50, 100], label="as often right as sure", **PREDICTION)
    counts = np.array([each["guesses"] for each in levels])
    sure = [100 * each["sure"] for each in levels]
    share = [100 * each["share"] for each in levels]
    axes.scatter(sure, share, s=30 + 300 * counts / counts.max(), color=BLUE, zorder=3)
    for x, y, count in zip(sure, share, counts, strict=True):
        axes.annotate(
            str(count), (x, y), ha="center", xytext=(0, 12), textcoords="offset points", color=INK
        )
    axes.set(xlim=(47, 103), ylim=(-8, 118), yticks=range(0, 101, 25))
    axes.set_xlabel("how sure (%)")
    axes.set_ylabel("right (%)")
    figure.legend(loc="outside upper right")
    return figure


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG, and close it."""
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=160)
    plt.close(figure)
    return image.getvalue()
