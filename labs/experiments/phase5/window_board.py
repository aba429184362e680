"""A board of windows below the running cell of a notebook: they fill, close, and are corrected."""

from __future__ import annotations

from html import escape
from typing import Any

from environment.client.progress import NotebookOutput, in_notebook

ROWS = 12
"""The newest windows are shown, so many of them."""

WIDTH = 220
"""Of the longest bar, in pixels."""

OPEN, CLOSED, LATE = "#56b4e9", "#0072b2", "#d55e00"


class WindowBoard:
    """Shows what `GET /windows` returns, again and again at the same place; nothing outside of a notebook."""

    def __init__(self) -> None:
        self._output = NotebookOutput() if in_notebook() else None

    def show(self, content: dict[str, Any]) -> None:
        """Replace what is shown by this response."""
        if self._output:
            self._output.show(board(content))


def board(content: dict[str, Any]) -> str:
    """Return the newest windows as an HTML table: a bar of their orders, open or closed, and what came late."""
    windows = content["windows"][-ROWS:]
    most = max((window["orders"] for window in windows), default=0) or 1
    rows = "".join(_row(window, most) for window in windows)
    mark = escape(_clock(content["watermark"])) if content["watermark"] else "none yet"
    head = "<tr><th>window</th><th>orders</th><th></th><th>revenue</th><th>late</th><th></th></tr>"
    return f"<table>{head}{rows}</table><p>Watermark: {mark}</p>"


def _row(window: dict[str, Any], most: int) -> str:
    colour = CLOSED if window["closed"] else OPEN
    bar = f"width:{WIDTH * window['orders'] / most:.0f}px;height:1em;background:{colour}"
    late = f'<b style="color:{LATE}">{window["late"]}</b>' if window["late"] else ""
    cells = (
        escape(_clock(window["start"])),
        str(window["orders"]),
        f'<div style="{bar}"></div>',
        f"{window['revenue']:,.2f}",
        late,
        "closed" if window["closed"] else "open",
    )
    return "<tr>" + "".join(f"<td>{each}</td>" for each in cells) + "</tr>"


def _clock(moment: str) -> str:
    """Return the time of day of a moment in ISO 8601."""
    return moment.partition("T")[2].rstrip("Z")
