"""The diagrams of the chapter about independence."""

from __future__ import annotations

import math
from collections.abc import Sequence

from labs.running.diagrams.drawing import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SOFT,
    Drawing,
    Point,
)


def services_and_waiting() -> Drawing:
    """Draw the three services, their databases, and the call that waits."""
    drawing = Drawing(720, 304, "order-service calls payment-service for POST /orders, and waits.")
    rows = [
        ("GET /users", "user-service", "users", 46, BLUE),
        ("GET /orders\nPOST /orders", "order-service", "orders", 128, BLUE),
        ("POST /pay", "payment-service", "payments", 220, ORANGE),
    ]
    drawing.text(90, 26, "requests of clients", colour=SOFT)
    drawing.text(345, 26, "services", colour=SOFT)
    drawing.text(600, 26, "databases", colour=SOFT)
    for request, service, table, y, colour in rows:
        drawing.text(24, y + 22, request, anchor="start", middle=True)
        drawing.line([(132, y + 22), (268, y + 22)], colour=GREY, head=True)
        drawing.box(272, y, service, w=146, h=44, colour=colour)
        drawing.line([(418, y + 22), (536, y + 22)], colour=GREY)
        drawing.box(538, y, table, w=124, h=44, colour=GREY)
    drawing.arrow((345, 172), (345, 218), colour=ORANGE)
    drawing.text(
        356, 192, "POST /pay, for each POST /orders", colour=ORANGE, anchor="start", size=11.5
    )
    drawing.text(356, 207, "order-service waits here", colour=ORANGE, anchor="start", size=11.5)
    drawing.cross(402, 232)
    drawing.text(
        24,
        292,
        "payment-service is killed: POST /pay fails, and POST /orders with it. Both GETs still succeed.",
        colour=ORANGE,
        anchor="start",
    )
    return drawing


def requests_lost_by_a_kill() -> Drawing:
    """Draw payments as bars from their start to their end, with a kill and a restart."""
    drawing = Drawing(
        720, 330, "A kill loses the requests under way, and those sent until the service is ready."
    )
    left, unit, top = 310, 82, 62

    def at(second: float) -> float:
        return left + unit * second

    killed, ready, bottom = at(0), at(1.9), 276
    drawing.line([(killed, 40), (killed, bottom)], colour=ORANGE, dashed=True)
    drawing.line([(ready, 40), (ready, bottom)], colour=GREEN, dashed=True)
    drawing.text(killed, 32, "killed", colour=ORANGE)
    drawing.text(ready, 32, "ready again", colour=GREEN)
    starts = [-2.9, -2.4, -1.6, -0.9, -0.3, 0.4, 1.2, 2.2]
    for row, start in enumerate(starts):
        y = top + 27 * row
        lost = -2 < start < 1.9
        colour = ORANGE if lost else BLUE
        if 0 <= start < 1.9:
            drawing.circle(at(start), y, 4, colour=colour)
            drawing.cross(at(start) + 14, y, size=5)
            continue
        end = 0.0 if lost else start + 2
        drawing.circle(at(start), y, 4, colour=colour)
        drawing.line([(at(start), y), (at(end), y)], colour=colour, width=3)
        if lost:
            drawing.cross(at(end), y, size=5)
    drawing.line([(50, bottom), (690, bottom)], colour=SOFT, head=True)
    for second in range(-3, 5):
        drawing.text(at(second), bottom + 16, f"{second}", colour=SOFT, size=11.5)
    drawing.text(690, bottom + 34, "time since the kill (s)", colour=SOFT, anchor="end", size=11.5)
    for begin, end, text in ((-2.0, 0.0, "under way: lost"), (0.0, 1.9, "refused: lost")):
        drawing.line([(at(begin) + 2, 300), (at(end) - 2, 300)], colour=ORANGE, width=3)
        drawing.text(at((begin + end) / 2), 318, text, colour=ORANGE, size=11.5)
    return drawing


def availability_of_many() -> Drawing:
    """Draw availability against the number of services waited for, and of replicas."""
    drawing = Drawing(
        720, 310, "Services in series lower availability, replicas in parallel raise it to a limit."
    )
    own, common, floor = 0.009, 0.001, 240

    def panel(left: float, title: str, across: str, marks: Sequence[tuple[float, str]]) -> None:
        drawing.text(left + 135, 24, title, bold=True)
        drawing.axes(left, floor, w=270, h=190, across="", upwards="")
        drawing.text(left + 270, floor + 34, across, colour=SOFT, anchor="end", size=11.5)
        for height, label in marks:
            drawing.text(left - 8, floor - height + 4, label, colour=SOFT, anchor="end", size=11.5)

    def points(line: Sequence[Point], colour: str) -> None:
        drawing.line(line, colour=colour, dashed=True)
        for x, y in line:
            drawing.circle(x, y, 4, colour=colour)

    def in_series(count: int) -> Point:
        return 70 + 25 * count, floor - 17 * (100 * 0.99**count - 90)

    def in_parallel(count: int, downtime: float) -> Point:
        return 400 + 60 * count, floor - 42 * (-2 - math.log10(downtime))

    panel(
        70,
        "in series: all must be up",
        "services that a request waits for",
        [(0, "90 %"), (85, "95 %"), (170, "100 %")],
    )
    for count in range(1, 11):
        drawing.text(in_series(count)[0], floor + 16, f"{count}", colour=SOFT, size=11.5)
    points([in_series(count) for count in range(1, 11)], ORANGE)
    drawing.text(128, 96, "2: 98.01 %", colour=ORANGE, anchor="start", size=11.5)
    drawing.text(288, 198, "10: 90.4 %", colour=ORANGE, anchor="start", size=11.5)
    panel(
        430,
        "in parallel: one must be up",
        "replicas",
        [(42 * step, "99." + "9" * step + " %" if step else "99 %") for step in range(5)],
    )
    for count in range(1, 5):
        drawing.text(400 + 60 * count, floor + 16, f"{count}", colour=SOFT, size=11.5)
    points([in_parallel(count, 0.01**count) for count in range(1, 4)], BLUE)
    shared = [1 - (1 - common) * (1 - own**count) for count in range(1, 5)]
    points([in_parallel(count, down) for count, down in enumerate(shared, 1)], PURPLE)
    drawing.text(594, 76, "independent", colour=BLUE, anchor="start", size=11.5)
    drawing.text(
        506, 228, "a tenth of the downtime in common", colour=PURPLE, anchor="start", size=11.5
    )
    drawing.text(
        24,
        300,
        "Each service, and each replica, is up 99 % of the time.",
        colour=SOFT,
        anchor="start",
    )
    return drawing


def starts_on_two_cores() -> Drawing:
    """Draw three starts of one second of processor time each, one by one and together."""
    drawing = Drawing(
        720, 300, "Three starts of one second take three seconds in turn, and 1.5 on two cores."
    )
    left, unit = 150, 170
    names = (("user", PURPLE), ("order", BLUE), ("payment", GREEN))
    drawing.text(24, 30, "one by one", anchor="start", bold=True)
    for number, (name, colour) in enumerate(names):
        drawing.box(left + unit * number, 40, name, w=unit, h=28, colour=colour)
    drawing.text(140, 58, "core 1", colour=SOFT, anchor="end")
    drawing.text(140, 94, "core 2", colour=SOFT, anchor="end")
    drawing.text(left + 12, 94, "nothing to do", colour=SOFT, anchor="start", size=11.5)
    drawing.text(24, 138, "together", anchor="start", bold=True)
    drawing.text(140, 166, "core 1", colour=SOFT, anchor="end")
    drawing.text(140, 202, "core 2", colour=SOFT, anchor="end")
    for core, order in enumerate(((0, 1, 2), (1, 2, 0))):
        for slot, which in enumerate(order):
            name, colour = names[which]
            drawing.box(
                left + unit * slot / 2, 148 + 36 * core, name, w=unit / 2, h=28, colour=colour
            )
    x = left + 1.5 * unit
    drawing.line([(x, 140), (x, 244)], colour=ORANGE, dashed=True)
    drawing.text(x + 10, 186, "lower bound: 3 s of work / 2 cores", colour=ORANGE, anchor="start")
    drawing.line([(left, 244), (700, 244)], colour=SOFT, head=True)
    for second in range(4):
        drawing.text(left + unit * second, 262, f"{second}", colour=SOFT, size=11.5)
    drawing.text(700, 280, "time since the first start (s)", colour=SOFT, anchor="end", size=11.5)
    return drawing
