"""Draw the diagrams of the labs, which are written for Mermaid, without Mermaid: it needs a browser to draw.

JupyterLab draws them by itself. The site draws the part of the language that the labs use: flow charts from left to
right, state diagrams as flow charts, and sequence diagrams.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from labs.running.diagrams.drawing import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PAPER,
    PURPLE,
    SOFT,
    Drawing,
    Point,
)

_NODE = re.compile(
    r'(\[\*\]|\w+)(?:\(\["?(?P<client>.*?)"?\]\)|\[\("?(?P<store>.*?)"?\)\]|\["?(?P<box>.*?)"?\])?'
)
_EDGE = re.compile(r' *(-->|---|-\.->|~~~)(?:\|"?(.*?)"?\|)? *')
_MESSAGE = re.compile(r"(\w+)--?>>(\w+): *(.*)")
_STEP = re.compile(r"(\[\*\]|\w+) --> (\w+)(?:: *(.*))?$")

ROW, BOX, LANE = 70, 40, 30
COLOURS = {"client": GREY, "store": PURPLE, "box": BLUE, "state": GREEN}


class MermaidError(ValueError):
    """Raised for a line that this module cannot draw."""


@dataclass
class Chart:
    """The nodes and edges of a flow chart."""

    texts: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    edges: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    """Kind and label of the arrow from one node to another."""
    frames: dict[str, list[str]] = field(default_factory=dict)

    def connect(self, start: str, end: str, kind: str, label: str) -> None:
        """Add an arrow; a second one between the same nodes adds a line to the label."""
        before = self.edges.get((start, end), (kind, ""))[1]
        self.edges[start, end] = kind, "\n".join(text for text in (before, label) if text)


def draw(source: str) -> tuple[str, str]:
    """Return a diagram as SVG, and what it shows as a sentence.

    Raises:
        MermaidError: A line is outside the part of the language that this module draws.
    """
    kind, *lines = [line.strip() for line in source.strip().splitlines()]
    if kind == "sequenceDiagram":
        return _sequence(lines)
    if kind == "stateDiagram-v2":
        chart = _read_states(lines)
    elif kind == "flowchart LR":
        chart = _read_chart(lines)
    else:
        raise MermaidError(f"{kind!r} is no diagram that the handbook can draw")
    shown = [
        f"{_line(chart.texts[a])} to {_line(chart.texts[b])}"
        + (f" ({_line(label)})" if label else "")
        for (a, b), (arrow, label) in chart.edges.items()
        if arrow != "~~~"
    ]
    names = [_line(text) for text in chart.texts.values()]
    title = f"A diagram: {'; '.join(shown) or ', '.join(names)}."
    return Layout(chart).draw(title).svg(), title


def _read_chart(lines: list[str]) -> Chart:
    chart = Chart()
    open_frames: list[str] = []
    for line in lines:
        if line.startswith("subgraph"):
            node = _NODE.fullmatch(line.removeprefix("subgraph").strip())
            if not node:
                raise MermaidError(f"the handbook cannot draw {line!r}")
            open_frames.append(node["box"] or node[1])
            chart.frames[open_frames[-1]] = []
        elif line == "end":
            open_frames.pop()
        else:
            for name in _read_line(chart, line):
                for frame in open_frames:
                    chart.frames[frame].append(name)
    return chart


def _read_line(chart: Chart, line: str) -> Iterator[str]:
    """Add the nodes and arrows of a line such as `a --> b[text] & c --- d`, and yield the nodes."""
    place, before, arrow = 0, list[str](), ("", "")
    while place < len(line):
        group: list[str] = []
        while node := _NODE.match(line, place):
            name, place = node[1], node.end()
            group.append(name)
            kind = node.lastgroup or "box"
            if node.lastgroup or name not in chart.texts:
                chart.texts[name] = re.sub(r"<br ?/?>", "\n", node[kind] or name)
                chart.kinds[name] = kind
            if not line.startswith(" & ", place):
                break
            place += 3
        for start in before:
            for end in group:
                chart.connect(start, end, *arrow)
        yield from group
        edge = _EDGE.match(line, place)
        if not group or (not edge and place < len(line)):
            raise MermaidError(f"the handbook cannot draw {line!r}")
        if edge:
            before, arrow, place = group, (edge[1], edge[2] or ""), edge.end()


def _read_states(lines: list[str]) -> Chart:
    chart = Chart()
    for line in lines:
        if step := _STEP.match(line):
            for name in (step[1], step[2]):
                chart.texts.setdefault(name, "start" if name == "[*]" else name)
                chart.kinds.setdefault(name, "client" if name == "[*]" else "state")
            chart.connect(step[1], step[2], "-->", step[3] or "")
        elif ": " in line:
            name, _, text = line.partition(": ")
            chart.texts[name] = text.replace(" (", "\n(")
        else:
            raise MermaidError(f"the handbook cannot draw {line!r}")
    return chart


class Layout:
    """Where the nodes of a chart are: a column for each step from the left, and lanes for arrows that pass columns."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.columns = self._columns()
        far = [e for e in chart.edges if abs(self.columns[e[0]] - self.columns[e[1]]) > 1]
        self.over = [edge for edge in far if self._is_above(edge)]
        self.under = [edge for edge in far if edge not in self.over]
        self.widths = {name: max(64.0, _width(text) + 22) for name, text in chart.texts.items()}
        self.row = ROW + (44 if chart.frames else 0)
        lines = max([0, *(label.count("\n") for _, label in chart.edges.values())])
        self.spare = 16 + 14 * lines
        self.top = 14 + (LANE * len(self.over) + self.spare) * bool(self.over)
        self.top += 64 if chart.frames else 0
        self.centres = self._centres()

    def _columns(self) -> dict[str, int]:
        """Return the column of each node: one more than the last of those that lead to it, circles left out."""
        forward: dict[str, list[str]] = defaultdict(list)
        columns = dict.fromkeys(self.chart.texts, 0)

        def reaches(start: str, end: str) -> bool:
            return start == end or any(reaches(after, end) for after in forward[start])

        for start, end in self.chart.edges:
            if not reaches(end, start):
                forward[start].append(end)
        for _ in columns:
            for start, ends in forward.items():
                for end in ends:
                    columns[end] = max(columns[end], columns[start] + 1)
        return columns

    def _is_above(self, edge: tuple[str, str]) -> bool:
        """Return whether an arrow that passes columns goes above them: forwards, to the first of a column."""
        start, end = (self.columns[name] for name in edge)
        return start < end and edge[1] == next(n for n, at in self.columns.items() if at == end)

    def _centres(self) -> dict[str, Point]:
        members: dict[int, list[str]] = defaultdict(list)
        for name, column in self.columns.items():
            members[column].append(name)
        most = max(len(names) for names in members.values())
        centres: dict[str, Point] = {}
        x = 14.0 + (30 if self.chart.frames else 0)
        for column in sorted(members):
            width = max(self.widths[name] for name in members[column])
            first = self.top + BOX / 2 + (most - len(members[column])) * self.row / 2
            for number, name in enumerate(members[column]):
                centres[name] = x + width / 2, first + number * self.row
            labels = [
                _width(label, 11.5)
                for ends, (_, label) in self.chart.edges.items()
                if {self.columns[end] for end in ends} == {column, column + 1}
            ]
            x += width + max([46.0, *(length + 26 for length in labels)])
        self.height = self.top + BOX + (most - 1) * self.row + 14
        self.height += (LANE * len(self.under) + self.spare) * bool(self.under)
        self.height += 46 if self.chart.frames else 0
        self.width = max(x + self.widths[name] / 2 for name, (x, _) in centres.items()) + 14
        self.width += 30 if self.chart.frames else 0
        return centres

    def draw(self, title: str) -> Drawing:
        """Return the drawing."""
        drawing = Drawing(round(self.width), round(self.height), title)
        frames = list(self.chart.frames.items())
        for number, (text, names) in enumerate(frames):
            inside = [others for _, others in frames[number + 1 :] if set(others) <= set(names)]
            self._frame(drawing, text, names, 12 + 20 * len(inside))
        for edge, (kind, label) in self.chart.edges.items():
            if kind != "~~~":
                self._arrow(drawing, edge, kind, label)
        for name, (x, y) in self.centres.items():
            width, colour = self.widths[name], COLOURS[self.chart.kinds[name]]
            text = self.chart.texts[name]
            drawing.box(x - width / 2, y - BOX / 2, text, w=width, h=BOX, colour=colour)
        return drawing

    def _frame(self, drawing: Drawing, text: str, names: list[str], space: float) -> None:
        places = [(self.centres[name], self.widths[name]) for name in names]
        left = min(x - width / 2 for (x, _), width in places) - space
        right = max(x + width / 2 for (x, _), width in places) + space
        top = min(y for (_, y), _ in places) - BOX / 2 - space - 8
        bottom = max(y for (_, y), _ in places) + BOX / 2 + space - 8
        corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
        drawing.line(corners, colour=GREY, dashed=True)
        drawing.text(left + 8, top + 14, text, anchor="start", size=11.5, colour=SOFT)

    def _arrow(self, drawing: Drawing, edge: tuple[str, str], kind: str, label: str) -> None:
        (x, y), (to_x, to_y) = (self.centres[name] for name in edge)
        half, to_half = (self.widths[name] / 2 for name in edge)
        dashed, head = kind == "-.->", kind != "---"
        for lanes, side in ((self.over, -1), (self.under, 1)):
            if edge in lanes:
                number = lanes.index(edge)
                bottom = self.height - 14 - LANE * len(self.under) - self.spare
                lane = self.top - self.spare if side < 0 else bottom + self.spare + 10
                lane += side * LANE * number
                shift, to_shift = -half / 3 + 12 * number, to_half / 3 - 12 * number
                path = [
                    (x + shift, y + side * BOX / 2),
                    (x + shift, lane),
                    (to_x + to_shift, lane),
                    (to_x + to_shift, to_y + side * BOX / 2),
                ]
                drawing.line(path, colour=SOFT, dashed=dashed, head=head)
                middle = (path[1][0] + path[2][0]) / 2
                _label(drawing, middle, lane - 5, _line(label))
                return
        right = 1 if to_x > x else -1
        both = 8 * right if edge[::-1] in self.chart.edges else 0
        start = (x + right * half, y - both)
        end = (to_x - right * to_half, to_y - both)
        drawing.line([start, end], colour=SOFT, dashed=dashed, head=head)
        place = 0.5 if abs(end[1] - start[1]) < 1 else 0.6
        middle = start[0] + place * (end[0] - start[0])
        over = start[1] + place * (end[1] - start[1])
        if place > 0.5:  # in the line, where it is seen to which of several arrows it belongs
            over += 4
        else:
            over += 15 if both < 0 else -6 - 14 * label.count("\n")
        _label(drawing, middle, over, label)


def _label(drawing: Drawing, x: float, y: float, text: str) -> None:
    """Write the label of an arrow, on white where another arrow passes under it."""
    for number, line in enumerate(text.split("\n")):
        half, middle = _width(line, 11) / 2, y - 4 + number * 14.4
        drawing.line([(x - half, middle), (x + half, middle)], colour=PAPER, width=11)
    drawing.text(x, y, text, size=11.5, colour=ORANGE)


def _sequence(lines: list[str]) -> tuple[str, str]:
    names: dict[str, str] = {}
    messages: list[tuple[str, str, str, bool]] = []
    for line in lines:
        if line.startswith("participant "):
            name, _, text = line.removeprefix("participant ").partition(" as ")
            names[name] = text or name
        elif line.startswith("Note over "):
            name, _, text = line.removeprefix("Note over ").partition(": ")
            messages.append((name, name, text, False))
        elif message := _MESSAGE.fullmatch(line):
            messages.append((message[1], message[2], message[3], "-->>" in line))
        else:
            raise MermaidError(f"the handbook cannot draw {line!r}")
    shown = [
        f"{names[start]}: {text}" if start == end else f"{names[start]} to {names[end]}: {text}"
        for start, end, text, _ in messages
    ]
    title = f"A diagram, in the order of time: {'; '.join(shown)}."
    step = 34
    bottom = 62 + step * len(messages)
    width = 190 * (len(names) - 1) + 160
    drawing = Drawing(width, bottom + 12, title)
    places = drawing.lifelines(list(names.values()), bottom=bottom, left=80, right=width - 80)
    at = dict(zip(names, places, strict=True))
    for number, (start, end, text, dashed) in enumerate(messages):
        y = 68 + step * number
        if start == end:
            wide = _width(text) + 20
            left = min(max(4, at[start] - wide / 2), width - wide - 4)
            drawing.box(left, y - 16, text, w=wide, h=24, colour=ORANGE)
        else:
            drawing.arrow((at[start], y), (at[end], y), text, dashed=dashed, colour=SOFT)
    return drawing.svg(), title


def _width(text: str, size: float = 12.5) -> float:
    return max(len(line) for line in text.split("\n")) * size * 0.57


def _line(text: str) -> str:
    return text.replace("\n", ", ")
