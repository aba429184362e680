"""A space-time diagram: a line of time for each participant, and an arrow for each event from one to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from labs.figures import BLUE, FAULT_TEXT, INK, SOFT, VERMILLION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PARTICIPANTS = ("order", "payment", "inventory")
"""The lines, from the top."""

PUBLISHERS = {"Order": "order", "Payment": "payment", "Inventory": "inventory"}
"""The participant that publishes an event, by the first word of the event's type."""

PUBLISH, READING = "publish ", " reads "


def publisher_of(event: str) -> str:
    """Return the participant that publishes a type of event."""
    return next(name for word, name in PUBLISHERS.items() if event.startswith(word))


def draw(ax: Axes, trace: Sequence[str], *, numbers: Sequence[int] = ()) -> None:
    """Draw a trace of the checker for one order: its steps from left to right, an arrow from an event to its reader.

    `numbers` are those of the steps, from 1 by default.
    """
    height = {name: -row for row, name in enumerate(PARTICIPANTS)}
    published: dict[str, int] = {}
    marked: dict[float, int] = dict.fromkeys(height.values(), 0)

    def mark(step: int, y: float, text: str, **style: Any) -> None:
        """Mark a step; the texts of one line's steps stand below it and above it in turn, so that none is covered."""
        _mark(ax, step, y, text, below=marked[y] % 2 == 0, **style)
        marked[y] += 1

    counted = numbers or range(1, len(trace) + 1)
    for step, (number, action) in enumerate(zip(counted, trace, strict=True), start=1):
        if action.startswith(PUBLISH):
            event = action.removeprefix(PUBLISH)
            published[event] = step
            mark(step, height[publisher_of(event)], f"{number}. publishes\n{event}")
        elif READING in action:
            name, _, event = action.removesuffix(" again").partition(READING)
            mark(step, height[name], f"{number}. reads\n{event}", color=INK)
            _arrow(ax, published[event], height[publisher_of(event)], step, height[name])
        else:
            name = next((each for each in PARTICIPANTS if action.startswith(each)), "order")
            mark(step, height[name], f"{number}. {action}", color=VERMILLION, marker="X")
    for name, y in height.items():
        ax.axhline(y, color=SOFT, linewidth=1.2, zorder=1)
        ax.text(-0.25, y + 0.06, name, ha="left", va="bottom", size=9, weight="bold", color=INK)
    ax.set_xlim(-0.3, len(trace) + 0.8)
    ax.set_ylim(-len(PARTICIPANTS) + 0.5, 0.5)
    ax.set_axis_off()


def _mark(
    ax: Axes, x: float, y: float, text: str, *, below: bool, color: str = BLUE, marker: str = "o"
) -> None:
    ax.plot([x], [y], marker, ms=8, color=color, zorder=3)
    ax.annotate(
        text,
        (x, y),
        xytext=(0, -9 if below else 9),
        textcoords="offset points",
        ha="center",
        va="top" if below else "bottom",
        size=8,
        color=FAULT_TEXT if color == VERMILLION else color,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.6},
        zorder=2.5,
    )


def _arrow(ax: Axes, x: float, y: float, to_x: float, to_y: float) -> None:
    arrow = {"arrowstyle": "-|>", "color": SOFT, "linewidth": 1.3, "shrinkA": 5, "shrinkB": 5}
    ax.annotate("", (to_x, to_y), (x, y), arrowprops=arrow, zorder=2)
