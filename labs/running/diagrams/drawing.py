"""A small vocabulary for the diagrams of the handbook: boxes, arrows, time lines and curves, written as SVG.

A diagram is made of numbers and words alone, so the same code writes the same bytes on each machine. Coordinates are
pixels from the upper left corner. Text keeps its width in the page's own font, so leave a tenth of room in a box.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from xml.sax.saxutils import escape

INK, SOFT, PAPER = "#1f2933", "#5b6670", "#ffffff"
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072b2", "#b3400a", "#00795c", "#8a4f7d", "#8b959e"
"""Line colours that colour-blind readers can tell apart, and that are readable as text on white."""
TINTS = {BLUE: "#e3f1fa", ORANGE: "#fdebdf", GREEN: "#e0f3ec", PURPLE: "#f3e8f0", GREY: "#eef1f4"}
"""The ground of a box for each line colour."""

Point = tuple[float, float]


class Drawing:
    """One diagram.

    Args:
        width: Of the picture, in pixels. 720 fills a page.
        height: Of the picture, in pixels.
        title: What the diagram shows, as a sentence; readers who cannot see it are given this text.
    """

    def __init__(self, width: int, height: int, title: str) -> None:
        self.title = title
        self._size = width, height
        self._shapes: list[str] = []

    def box(
        self, x: float, y: float, text: str, *, w: float = 120, h: float = 40, colour: str = BLUE
    ) -> Point:
        """Draw a box whose upper left corner is `(x, y)`, with lines of text, and return its centre."""
        self._add(
            f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(w)}" height="{_n(h)}" rx="5" '
            f'fill="{TINTS.get(colour, PAPER)}" stroke="{colour}" stroke-width="1.4"/>'
        )
        self.text(x + w / 2, y + h / 2, text, middle=True)
        return x + w / 2, y + h / 2

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        colour: str = INK,
        anchor: str = "middle",
        size: float = 12.5,
        bold: bool = False,
        middle: bool = False,
    ) -> None:
        """Write lines of text; `y` is the first base line, or the middle of all lines if `middle`."""
        lines = text.split("\n")
        step = size * 1.25
        first = y + size * 0.36 - step * (len(lines) - 1) / 2 if middle else y
        weight = ' font-weight="600"' if bold else ""
        for number, line in enumerate(lines):
            self._add(
                f'<text x="{_n(x)}" y="{_n(first + number * step)}" text-anchor="{anchor}" '
                f'font-size="{_n(size)}" fill="{colour}"{weight}>{escape(line)}</text>'
            )

    def line(
        self,
        points: Iterable[Point],
        *,
        colour: str = INK,
        width: float = 1.4,
        dashed: bool = False,
        head: bool = False,
    ) -> None:
        """Draw a line through the points, with an arrow's head at its end if `head`."""
        through = list(points)
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        path = " ".join(f"{_n(x)},{_n(y)}" for x, y in through)
        self._add(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{_n(width)}"{dash}/>'
        )
        if head:
            self._head(through[-2], through[-1], colour)

    def arrow(
        self,
        start: Point,
        end: Point,
        text: str = "",
        *,
        colour: str = INK,
        dashed: bool = False,
        above: float = 6,
    ) -> None:
        """Draw an arrow, and write `text` `above` pixels over its middle (below it, if negative)."""
        self.line([start, end], colour=colour, dashed=dashed, head=True)
        if text:
            x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
            lines = text.count("\n")
            self.text(
                x, y - above - (lines * 15 if above > 0 else -12), text, colour=colour, size=11.5
            )

    def circle(
        self, x: float, y: float, r: float = 5, *, colour: str = BLUE, filled: bool = True
    ) -> None:
        """Draw a point of a diagram, such as an event on a time line."""
        fill = colour if filled else PAPER
        self._add(
            f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(r)}" fill="{fill}" stroke="{colour}" stroke-width="1.4"/>'
        )

    def cross(self, x: float, y: float, *, size: float = 6, colour: str = ORANGE) -> None:
        """Draw a cross: what stands here dies, or is lost."""
        for end in (size, -size):
            self.line([(x - size, y - end), (x + size, y + end)], colour=colour, width=2.4)

    def lifelines(
        self,
        names: Sequence[str],
        *,
        top: float = 12,
        bottom: float,
        left: float = 70,
        right: float,
    ) -> list[float]:
        """Draw the time lines of a sequence diagram, time downwards, and return the x of each."""
        step = (right - left) / max(1, len(names) - 1)
        places = [left + step * number for number in range(len(names))]
        for x, name in zip(places, names, strict=True):
            self.line([(x, top + 28), (x, bottom)], colour=GREY, width=1.1)
            self.box(x - 56, top, name, w=112, h=28, colour=GREY)
        return places

    def axes(self, x: float, y: float, *, w: float, h: float, across: str, upwards: str) -> None:
        """Draw two axes whose origin is `(x, y)`, with their labels (and units)."""
        self.line([(x, y), (x + w, y)], colour=SOFT, head=True)
        self.line([(x, y), (x, y - h)], colour=SOFT, head=True)
        self.text(x + w, y + 17, across, colour=SOFT, anchor="end", size=11.5)
        self.text(x - 4, y - h - 8, upwards, colour=SOFT, anchor="start", size=11.5)

    def curve(
        self,
        of: Callable[[float], Point],
        *,
        steps: int = 60,
        colour: str = BLUE,
        dashed: bool = False,
    ) -> None:
        """Draw the curve of a function from 0..1 to points."""
        self.line(
            (of(step / steps) for step in range(steps + 1)), colour=colour, width=2, dashed=dashed
        )

    def svg(self) -> str:
        """Return the diagram as an SVG document."""
        width, height = self._size
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" role="img" font-family="system-ui, sans-serif">\n'
            f"<title>{escape(self.title)}</title>\n"
            f'<rect width="{width}" height="{height}" fill="{PAPER}"/>\n'
            + "\n".join(self._shapes)
            + "\n</svg>\n"
        )

    def _add(self, shape: str) -> None:
        self._shapes.append(shape)

    def _head(self, start: Point, end: Point, colour: str) -> None:
        angle = math.atan2(end[1] - start[1], end[0] - start[0])
        sides = [
            f"{_n(end[0] - 9 * math.cos(angle + turn))},{_n(end[1] - 9 * math.sin(angle + turn))}"
            for turn in (0.38, -0.38)
        ]
        tip = f"{_n(end[0])},{_n(end[1])}"
        self._add(f'<polygon points="{tip} {sides[0]} {sides[1]}" fill="{colour}"/>')


def _n(value: float) -> str:
    """Return a coordinate with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0")
