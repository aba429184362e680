"""A participant's table as a picture: its states from left to right, and an arrow for each step, as SVG.

The picture is made of the table alone. Its layout is that of a tree, whose root is the state of an order that the
participant has not met; a step to a state that the tree has already is drawn as a curve.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from microservices.kit.saga import CONTRADICTION, Table

FAILS = "[fails]"
"""The guard of a step that is taken when the participant's own work fails."""

TOMBSTONE = "barred"
"""The state by which a participant remembers that it must not act."""

INK, SOFT, BLUE, ENDED, PAPER = "#1f2933", "#66717d", "#0072b2", "#e3f1fa", "#ffffff"
BOX_WIDTH, BOX_HEIGHT, ROW_HEIGHT, MARGIN = 92, 32, 66, 16
LETTER_WIDTH, LINE_HEIGHT = 6.1, 14
NAMES_PER_LINE = 2

Edge = tuple[str, str]
"""A state and the next one."""


@dataclass
class Arrow:
    """What leads from one state to another: the events, and what is published with them."""

    events: list[str] = field(default_factory=list)
    publishes: list[str] = field(default_factory=list)

    def above(self) -> list[str]:
        """Return the lines above the arrow: the events."""
        return _lines(self.events)

    def below(self) -> list[str]:
        """Return the lines below the arrow: what is published."""
        return [f"/ {line}" for line in _lines(self.publishes)]


def _lines(names: list[str]) -> list[str]:
    parts = [
        ", ".join(names[start : start + NAMES_PER_LINE])
        for start in range(0, len(names), NAMES_PER_LINE)
    ]
    return [*(f"{part}," for part in parts[:-1]), *parts[-1:]]


def arrows(table: Table) -> dict[Edge, Arrow]:
    """Return the arrows of a table, in its order; contradictions have none."""
    found: dict[Edge, Arrow] = {}
    for (state, event), step in table.items():
        if step is CONTRADICTION:
            continue
        for label, each in ((event, step), (f"{event} {FAILS}", step.if_fails)):
            if each is not None:
                arrow = found.setdefault((state, each.to), Arrow())
                arrow.events.append(label)
                arrow.publishes += [name for name in each.publishes if name not in arrow.publishes]
    return found


def states(table: Table, first: str) -> list[str]:
    """Return the states of a table as its arrows reach them from the first one; then those that no arrow reaches."""
    found: list[str] = []
    for root in (first, *(state for state, _ in table)):
        reached = [] if root in found else [root]
        for state in reached:
            following = [to for start, to in arrows(table) if start == state]
            reached += [to for to in following if to not in (*found, *reached)]
        found += reached
    return found


def svg(table: Table, *, first: str, title: str) -> str:
    """Return the picture of a table."""
    return _Chart(table, first).svg(title)


class _Chart:
    """The layout of one table: a column and a row for each state."""

    def __init__(self, table: Table, first: str) -> None:
        self._arrows = arrows(table)
        self._columns: dict[str, int] = {}
        self._tree: set[Edge] = set()
        self._rows: dict[str, float] = {}
        for state in states(table, first):
            self._columns.setdefault(state, 0)
            for start, to in self._arrows:
                if start == state and to not in self._columns:
                    self._columns[to] = self._columns[state] + 1
                    self._tree.add((start, to))
        self._leaves = 0
        for state in [each for each, column in self._columns.items() if column == 0]:
            self._place(state)
        self._lefts = self._measure()

    def _place(self, state: str) -> float:
        """Give a state the row in the middle of the states that follow it."""
        edges = [edge for edge in self._arrows if edge in self._tree and edge[0] == state]
        below = [self._place(to) for _, to in edges]
        self._rows[state] = (below[0] + below[-1]) / 2 if below else self._leaves
        self._leaves += not below
        return self._rows[state]

    def _measure(self) -> list[float]:
        """Return the left side of each column: the labels decide how far apart two columns are."""
        lefts = [float(MARGIN)]
        for column in range(1, 1 + max(self._columns.values())):
            labels = [
                line
                for (_, to), arrow in self._arrows.items()
                if self._columns[to] == column
                for line in (*arrow.above(), *arrow.below())
            ]
            gap = 46 + LETTER_WIDTH * max(map(len, labels))
            lefts.append(lefts[-1] + BOX_WIDTH + gap)
        return lefts

    def svg(self, title: str) -> str:
        width = self._lefts[-1] + BOX_WIDTH + MARGIN
        height = 2 * MARGIN + ROW_HEIGHT * self._leaves
        size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" '
            f'font-family="Helvetica, Arial, sans-serif" font-size="12">',
            f"<title>{escape(title)}</title>",
            f'<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
            f'orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="{SOFT}"/></marker></defs>',
            f'<rect width="100%" height="100%" fill="{PAPER}"/>',
            *self._lines(),
            *self._boxes(),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    def _boxes(self) -> Iterator[str]:
        leaving = {start for start, _ in self._arrows}
        for state in self._columns:
            x, y = self._lefts[self._columns[state]], self._middle(state)
            fill = PAPER if state in leaving else ENDED
            dash = ' stroke-dasharray="5 3"' if state == TOMBSTONE else ""
            yield (
                f'<rect x="{x:.1f}" y="{y - BOX_HEIGHT / 2:.1f}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" '
                f'rx="5" fill="{fill}" stroke="{BLUE}"{dash}/>'
            )
            yield _text(x + BOX_WIDTH / 2, y + 4, state, colour=INK, anchor="middle")

    def _lines(self) -> Iterator[str]:
        for (start, to), arrow in self._arrows.items():
            x, end = self._lefts[self._columns[start]] + BOX_WIDTH, self._lefts[self._columns[to]]
            y, below = self._middle(start), self._middle(to)
            if (start, to) in self._tree:
                path = f"M{x:.1f} {y:.1f} H{x + 20:.1f} V{below:.1f} H{end:.1f}"
                yield from self._labels(x + 30, below, arrow)
            else:
                path = f"M{x:.1f} {y:.1f} C{x + 60:.1f} {y:.1f} {end - 60:.1f} {below:.1f} {end:.1f} {below:.1f}"
                yield from self._labels((x + end) / 2, (y + below) / 2, arrow)
            yield f'<path d="{path}" fill="none" stroke="{SOFT}" marker-end="url(#tip)"/>'

    def _labels(self, x: float, y: float, arrow: Arrow) -> Iterator[str]:
        above = arrow.above()
        for number, line in enumerate(above):
            yield _text(x, y - 5 - LINE_HEIGHT * (len(above) - 1 - number), line, colour=INK)
        for number, line in enumerate(arrow.below()):
            yield _text(x, y + 14 + LINE_HEIGHT * number, line, colour=BLUE)

    def _middle(self, state: str) -> float:
        return MARGIN + ROW_HEIGHT * (self._rows[state] + 0.5)


def _text(x: float, y: float, text: str, *, colour: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}">{escape(text)}</text>'
