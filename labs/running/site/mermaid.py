"""Draw the diagrams of the labs, which are written for Mermaid, without Mermaid: it needs a browser to draw.

JupyterLab draws them by itself. The site draws the part of the language that the labs use: flow charts from left to
right, state diagrams as flow charts, and sequence diagrams.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from labs.running.diagrams.drawing import ORANGE, SOFT, Drawing
from labs.running.site.flow_chart import Chart, Layout, one_line, width_of

_NODE = re.compile(
    r'(\[\*\]|\w+)(?:\(\["?(?P<client>.*?)"?\]\)|\[\("?(?P<store>.*?)"?\)\]|\["?(?P<box>.*?)"?\])?'
)
_EDGE = re.compile(r' *(-->|---|-\.->|~~~)(?:\|"?(.*?)"?\|)? *')
_MESSAGE = re.compile(r"(\w+)--?>>(\w+): *(.*)")
_STEP = re.compile(r"(\[\*\]|\w+) --> (\w+)(?:: *(.*))?$")


class MermaidError(ValueError):
    """Raised for a line that this module cannot draw."""


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
        f"{one_line(chart.texts[a])} to {one_line(chart.texts[b])}"
        + (f" ({one_line(label)})" if label else "")
        for (a, b), (arrow, label) in chart.edges.items()
        if arrow != "~~~"
    ]
    names = [one_line(text) for text in chart.texts.values()]
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
            wide = width_of(text) + 20
            left = min(max(4, at[start] - wide / 2), width - wide - 4)
            drawing.box(left, y - 16, text, w=wide, h=24, colour=ORANGE)
        else:
            drawing.arrow((at[start], y), (at[end], y), text, dashed=dashed, colour=SOFT)
    return drawing.svg(), title
