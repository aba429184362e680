"""The diagrams of the chapter about honest measuring."""

from __future__ import annotations

from labs.running.diagrams.drawing import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    SOFT,
    Drawing,
)


def open_and_closed_loop() -> Drawing:
    """Draw the requests of an open and of a closed loop around a stall of the server."""
    drawing = Drawing(
        720, 330, "In a stall an open loop records many long waits, and a closed loop records one."
    )
    left, unit = 150, 54
    stalled, free = left + 3 * unit, left + 7 * unit
    drawing.box(stalled, 34, "", w=free - stalled, h=232, colour=GREY)
    drawing.text((stalled + free) / 2, 26, "the server stalls", colour=SOFT)
    drawing.text(24, 92, "open loop:\nsends on\nschedule", anchor="start")
    for number in range(10):
        start = left + unit * number + 8
        y = 48 + 9 * number
        waits = stalled <= start < free
        end = free + 8 if waits else start + 12
        colour = ORANGE if waits else BLUE
        drawing.line([(start, y), (end, y)], colour=colour, width=3)
        drawing.circle(start, y, 3.5, colour=colour)
    drawing.text(free + 16, 60, "4 of 10 waited", colour=ORANGE, anchor="start", size=11.5)
    drawing.text(24, 190, "closed loop:\nsends after\nthe response", anchor="start")
    starts = [0, 1, 2, 3, 7, 8, 9]
    for row, number in enumerate(starts):
        start = left + unit * number + 8
        y = 168 + 9 * row
        waits = number == 3
        end = free + 8 if waits else start + 12
        colour = ORANGE if waits else BLUE
        drawing.line([(start, y), (end, y)], colour=colour, width=3)
        drawing.circle(start, y, 3.5, colour=colour)
    for number in (4, 5, 6):
        drawing.circle(left + unit * number + 8, 168 + 9 * 3, 3.5, colour=GREY, filled=False)
    drawing.text(free + 16, 176, "1 of 7 waited", colour=ORANGE, anchor="start", size=11.5)
    drawing.text((stalled + free) / 2, 246, "three were never sent", colour=SOFT, size=11.5)
    drawing.line([(left, 280), (700, 280)], colour=SOFT, head=True)
    drawing.text(700, 298, "time", colour=SOFT, anchor="end", size=11.5)
    drawing.text(
        24,
        318,
        "A bar lasts from the moment at which a request was due until its response.",
        colour=SOFT,
        anchor="start",
        size=11.5,
    )
    return drawing


def a_drift_and_two_orders() -> Drawing:
    """Draw two equal systems on a machine that becomes slower, measured in blocks and in turns."""
    drawing = Drawing(
        720,
        300,
        "On a machine that slows down, blocks make equal systems differ, and turns do not.",
    )

    def panel(left: float, title: str, order: str, finding: str, colour: str) -> None:
        drawing.text(left + 140, 24, title, bold=True)
        drawing.axes(left, 230, w=286, h=160, across="", upwards="time that each took")
        drawing.text(left + 286, 264, "order of measuring", colour=SOFT, anchor="end", size=11.5)
        means = {}
        for which, shade in (("A", BLUE), ("B", GREEN)):
            heights = []
            for number, name in enumerate(order):
                if name != which:
                    continue
                x, height = left + 22 + 31 * number, 70 + 9 * number
                drawing.circle(x, 230 - height, 5, colour=shade)
                drawing.text(x, 247, name, colour=shade, size=11.5)
                heights.append(height)
            means[which] = sum(heights) / len(heights)
            y = 230 - means[which]
            drawing.line([(left + 4, y), (left + 274, y)], colour=shade, dashed=True)
        drawing.text(left + 140, 290, finding, colour=colour)

    panel(50, "A, then B", "AAAABBBB", "B seems slower by two fifths", ORANGE)
    panel(400, "in turns", "ABABABAB", "almost equal, as they are", GREEN)
    return drawing


def three_verdicts() -> Drawing:
    """Draw how findings become a verdict."""
    drawing = Drawing(
        720, 262, "A failure stands; a doubt makes a verdict inconclusive; else it passes."
    )
    steps = [
        ("Was the system seen\nto break the prediction?", "fail", ORANGE),
        ("Is there a reason,\noutside the judged\nvalues, to doubt them?", "inconclusive", GREY),
        ("Every case is settled.", "pass", GREEN),
    ]
    for number, (question, outcome, colour) in enumerate(steps):
        x = 20 + 240 * number
        drawing.box(x, 30, question, w=176, h=76, colour=BLUE)
        drawing.arrow((x + 88, 106), (x + 88, 164), colour=colour)
        if number < 2:
            drawing.text(x + 98, 140, "yes", colour=colour, anchor="start", size=11.5)
            drawing.arrow((x + 176, 68), (x + 238, 68), "no", above=6)
        drawing.box(x + 23, 166, outcome, w=130, h=36, colour=colour)
    drawing.line([(325, 202), (325, 236), (10, 236), (10, 68), (18, 68)], colour=SOFT, head=True)
    drawing.text(
        340,
        230,
        "measure once more, at most three times;\nall attempts are judged together",
        colour=SOFT,
        anchor="start",
        size=11.5,
    )
    return drawing
