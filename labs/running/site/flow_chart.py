"""Where the boxes and arrows of a flow chart are, and how they are drawn."""

from __future__ import annotations

from collections import defaultdict
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

ROW, BOX, LANE = 70, 40, 30
COLOURS = {"client": GREY, "store": PURPLE, "box": BLUE, "state": GREEN}


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


class Layout:
    """Where the nodes of a chart are: a column for each step from the left, and lanes for arrows that pass columns."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.columns = self._columns()
        far = [e for e in chart.edges if abs(self.columns[e[0]] - self.columns[e[1]]) > 1]
        self.over = [edge for edge in far if self._is_above(edge)]
        self.under = [edge for edge in far if edge not in self.over]
        self.widths = {name: max(64.0, width_of(text) + 22) for name, text in chart.texts.items()}
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
                width_of(label, 11.5)
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
                _label(drawing, middle, lane - 5, one_line(label))
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
        half, middle = width_of(line, 11) / 2, y - 4 + number * 14.4
        drawing.line([(x - half, middle), (x + half, middle)], colour=PAPER, width=11)
    drawing.text(x, y, text, size=11.5, colour=ORANGE)


def width_of(text: str, size: float = 12.5) -> float:
    """Return about how many pixels the widest line of a text takes."""
    return max(len(line) for line in text.split("\n")) * size * 0.57


def one_line(text: str) -> str:
    """Return the lines of a text as one."""
    return text.replace("\n", ", ")
