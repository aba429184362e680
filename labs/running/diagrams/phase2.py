"""The diagrams of the chapter on scaling."""

from __future__ import annotations

from collections.abc import Callable
from math import factorial

from labs.running.diagrams.drawing import BLUE, GREEN, GREY, ORANGE, PURPLE, SOFT, Drawing, Point


def event_loop_queue() -> Drawing:
    """Draw one computation on one of two replicas, and the requests that come meanwhile."""
    drawing = Drawing(
        720,
        276,
        "While one of two replicas computes, every second request waits for the end of the computation.",
    )
    left, per_request, end = 130.0, 58.0, 520.0
    rows = {"api-gateway-1": 70.0, "api-gateway-2": 188.0}
    for name, y in rows.items():
        drawing.text(10, y + 15, name, anchor="start", middle=True, bold=True)
        drawing.line([(left, y + 30), (695, y + 30)], colour=GREY, head=True)
    drawing.box(left, rows["api-gateway-1"], "one computation", w=end - left, h=30, colour=ORANGE)
    for number in range(1, 7):
        x = left + number * per_request
        waits = number % 2 == 0
        y = rows["api-gateway-1" if waits else "api-gateway-2"]
        drawing.text(x, y - 38, str(number), bold=True)
        drawing.line([(x, y - 32), (x, y - 6)], colour=BLUE, head=True)
        begins = end + 4 + (number // 2 - 1) * 26 if waits else x
        drawing.box(begins, y, str(number), w=22, h=30, colour=BLUE)
        if waits:
            level = y + 40 + 9 * (number // 2)
            drawing.line(
                [(x, y + 34), (x, level), (begins + 11, level), (begins + 11, y + 34)],
                colour=BLUE,
                dashed=True,
            )
    drawing.text(605, 90, "4, 6: at the end", anchor="start", colour=SOFT, size=11.5)
    drawing.text(605, 75, "responses to 2,", anchor="start", colour=SOFT, size=11.5)
    drawing.text(530, 208, "responses at once", anchor="start", colour=SOFT, size=11.5)
    drawing.text(695, 237, "time", anchor="end", colour=SOFT, size=11.5)
    drawing.text(
        360, 264, "nginx sends requests 1 to 6 in turn, and does not check which replica is busy"
    )
    return drawing


def interpreter_lock() -> Drawing:
    """Draw how an event loop and two computing threads share the interpreter lock."""
    drawing = Drawing(
        720,
        250,
        "The event loop waits for the interpreter lock twice, each time for both threads' 5 ms.",
    )
    left, scale = 120.0, 21.0

    def x(milliseconds: float) -> float:
        return left + milliseconds * scale

    rows = {"event loop": 50.0, "thread A": 115.0, "thread B": 165.0}
    holds = [
        ("thread A", 0, 5),
        ("thread B", 5, 10),
        ("event loop", 10, 11),
        ("thread A", 11, 16),
        ("thread B", 16, 21),
        ("event loop", 21, 22),
        ("thread A", 22, 27),
    ]
    for name, y in rows.items():
        drawing.text(12, y + 14, name, anchor="start", middle=True, bold=True)
        drawing.line([(left, y + 28), (700, y + 28)], colour=GREY)
    for name, begins, ends in holds:
        colour = BLUE if name == "event loop" else ORANGE
        text = "" if name == "event loop" else "5 ms"
        drawing.box(x(begins), rows[name], text, w=scale * (ends - begins), h=28, colour=colour)
    for arrives, begins, text in (
        (1, 10, "a request arrives"),
        (12, 21, "the upstream's response arrives"),
    ):
        drawing.line([(x(arrives), 30), (x(arrives), 74)], colour=BLUE, head=True)
        drawing.text(x(arrives) + 4, 26, text, anchor="start", colour=BLUE, size=11.5)
        drawing.line([(x(arrives), 64), (x(begins), 64)], colour=BLUE, dashed=True, head=True)
        drawing.text((x(arrives) + x(begins)) / 2, 58, "waits for the lock", size=11, colour=SOFT)
    drawing.line([(left, 212), (705, 212)], colour=SOFT, head=True)
    for milliseconds in (0, 5, 10, 15, 20, 25):
        drawing.line([(x(milliseconds), 208), (x(milliseconds), 216)], colour=SOFT)
        drawing.text(x(milliseconds), 232, str(milliseconds), colour=SOFT, size=11.5)
    drawing.text(700, 246, "time (ms); a box holds the lock", anchor="end", colour=SOFT, size=11.5)
    return drawing


def utilisation_curves() -> Drawing:
    """Draw the mean response time against utilisation, for three kinds of queues."""
    drawing = Drawing(
        720,
        330,
        "Mean response times grow slowly at first and then without end as utilisation nears 100 %.",
    )
    left, bottom, wide, high, most = 70.0, 280.0, 500.0, 230.0, 10.0

    def place(utilisation: float, service_times: float) -> Point:
        return left + wide * utilisation, bottom - high * service_times / most

    drawing.axes(
        left,
        bottom,
        w=wide + 140,
        h=high + 14,
        across="utilisation of each server",
        upwards="mean response time (service times)",
    )
    for share in (0, 0.25, 0.5, 0.75, 1):
        at, _ = place(share, 0)
        drawing.line([(at, bottom), (at, bottom + 5)], colour=SOFT)
        if share < 1:
            drawing.text(at, bottom + 17, f"{share:.0%}", colour=SOFT, size=11.5)
    for number in (2, 4, 6, 8, 10):
        _, at = place(0, number)
        drawing.line([(left - 5, at), (left, at)], colour=SOFT)
        drawing.text(left - 10, at, str(number), colour=SOFT, size=11.5, anchor="end", middle=True)
    drawing.line([place(1, 0), place(1, most)], colour=GREY, dashed=True)
    drawing.line([place(0, 4), place(1, 4)], colour=PURPLE, dashed=True)
    drawing.text(left + 8, place(0, 4)[1] - 7, "a target of 4", anchor="start", colour=PURPLE)

    def random(rho: float) -> float:
        return 1 / (1 - rho)

    def constant(rho: float) -> float:
        return 1 + rho / (2 * (1 - rho))

    def shared(rho: float) -> float:
        return 1 + _chance_to_wait(rho, 4) / (4 * (1 - rho))

    limits = ((random, 0.9, ORANGE), (constant, 1 - 1 / 19, BLUE), (shared, 0.973, GREEN))
    for response, until, colour in limits:
        drawing.curve(_along(place, response, until), colour=colour)
    drawing.circle(*place(0.75, 4), colour=ORANGE)
    drawing.circle(*place(6 / 7, 4), colour=BLUE)
    drawing.text(340, 90, "random service times,\none server (M/M/1)", anchor="end", colour=ORANGE)
    drawing.line([(346, 96), place(0.8, random(0.8))], colour=ORANGE, width=1)
    drawing.text(300, 214, "constant, one server (M/D/1)", anchor="end", colour=BLUE)
    drawing.line([(306, 212), place(0.65, constant(0.65))], colour=BLUE, width=1)
    drawing.text(584, 215, "random, four servers,\none queue (M/M/4)", anchor="start", colour=GREEN)
    drawing.line([(580, 220), place(0.9, shared(0.9))], colour=GREEN, width=1)
    return drawing


def scaling_laws() -> Drawing:
    """Draw capacity against copies: linear, Amdahl's law, and the universal scalability law."""
    drawing = Drawing(
        720,
        320,
        "With contention the gain of further copies shrinks; with agreement among them it turns into a loss.",
    )
    left, bottom, wide, high, copies, most = 70.0, 270.0, 500.0, 215.0, 60, 20.0

    def place(n: float, capacity: float) -> Point:
        return left + wide * n / copies, bottom - high * capacity / most

    drawing.axes(
        left,
        bottom,
        w=wide + 130,
        h=high + 14,
        across="copies (count)",
        upwards="capacity (multiples of one copy)",
    )
    for number in (1, 10, 20, 31, 40, 50, 60):
        at, _ = place(number, 0)
        drawing.line([(at, bottom), (at, bottom + 5)], colour=SOFT)
        drawing.text(at, bottom + 17, str(number), colour=SOFT, size=11.5)
    for number in (5, 10, 15, 20):
        _, at = place(0, number)
        drawing.line([(left - 5, at), (left, at)], colour=SOFT)
        drawing.text(left - 10, at, str(number), colour=SOFT, size=11.5, anchor="end", middle=True)

    def amdahl(n: float) -> float:
        return n / (1 + 0.05 * (n - 1))

    def universal(n: float) -> float:
        return n / (1 + 0.05 * (n - 1) + 0.001 * n * (n - 1))

    drawing.line([place(1, 1), place(20, 20)], colour=GREY, width=2)
    drawing.text(place(20, 20)[0] + 8, place(20, 20)[1] + 4, "linear", anchor="start", colour=SOFT)
    for law, colour in ((amdahl, BLUE), (universal, ORANGE)):
        drawing.curve(_along(place, law, copies, 1), colour=colour)
    peak = place(31, universal(31))
    drawing.circle(*peak, colour=ORANGE)
    drawing.line([peak, (peak[0], bottom)], colour=ORANGE, dashed=True, width=1)
    drawing.text(576, place(60, amdahl(60))[1], "contention\n(Amdahl)", anchor="start", colour=BLUE)
    drawing.text(
        576,
        place(60, universal(60))[1] - 10,
        "contention and\nagreement\n(universal law)",
        anchor="start",
        colour=ORANGE,
    )
    return drawing


def lost_update() -> Drawing:
    """Draw two replicas that read the same count and write the same next one; then one step each."""
    drawing = Drawing(
        720, 388, "Two replicas read 7 and both write 8, so that two calls are counted once."
    )
    first, store, second = drawing.lifelines(
        ["api-gateway-1", "Valkey", "api-gateway-2"], bottom=368, left=90, right=630
    )
    y = 68.0
    drawing.arrow((first, y), (store, y), "GET count", colour=BLUE)
    drawing.arrow((store, y + 24), (first, y + 24), "7", colour=BLUE, dashed=True)
    drawing.arrow((second, y + 38), (store, y + 38), "GET count", colour=PURPLE)
    drawing.arrow((store, y + 62), (second, y + 62), "7", colour=PURPLE, dashed=True)
    drawing.arrow((first, y + 90), (store, y + 90), "SET count 8", colour=BLUE)
    drawing.arrow((second, y + 114), (store, y + 114), "SET count 8", colour=PURPLE)
    drawing.box(
        store - 150, y + 128, "Valkey holds 8: two calls, counted once", w=300, h=28, colour=ORANGE
    )
    drawing.line([(20, y + 172), (700, y + 172)], colour=GREY, dashed=True)
    y += 198
    drawing.arrow((first, y), (store, y), "INCR count", colour=BLUE)
    drawing.arrow((store, y + 24), (first, y + 24), "8", colour=BLUE, dashed=True)
    drawing.arrow((second, y + 38), (store, y + 38), "INCR count", colour=PURPLE)
    drawing.arrow((store, y + 62), (second, y + 62), "9", colour=PURPLE, dashed=True)
    drawing.box(
        store - 150, y + 74, "Valkey holds 9: two calls, counted twice", w=300, h=28, colour=GREEN
    )
    return drawing


def _along(
    place: Callable[[float, float], Point],
    of: Callable[[float], float],
    end: float,
    begin: float = 0.0,
) -> Callable[[float], Point]:
    """Return the points of a function between two arguments, for `Drawing.curve`."""

    def at(share: float) -> Point:
        argument = begin + share * (end - begin)
        return place(argument, of(argument))

    return at


def _chance_to_wait(utilisation: float, servers: int) -> float:
    """Return Erlang's C: the share of requests that find all servers busy."""
    offered = utilisation * servers
    full = offered**servers / factorial(servers) / (1 - utilisation)
    return full / (sum(offered**k / factorial(k) for k in range(servers)) + full)
