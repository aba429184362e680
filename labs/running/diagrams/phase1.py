"""The diagrams of the chapter about the gateway."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from labs.running.diagrams.drawing import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SOFT,
    Drawing,
)

LIMIT, SECONDS = 5, 10
"""The limit of the windows that are drawn: requests, and the length of a window."""


def one_gateway() -> Drawing:
    """Draw the clients, what the gateway does with a request, and the services behind it."""
    drawing = Drawing(
        720, 300, "Clients send every request to one gateway, which calls three services."
    )
    drawing.box(20, 125, "clients", w=100, h=50, colour=GREY)
    drawing.box(210, 30, "", w=190, h=240)
    drawing.text(305, 54, "api-gateway", bold=True)
    duties = (
        "check the token",
        "limit each client",
        "choose the service",
        "combine responses",
        "limit the time and the tries",
        "stop calls that only fail",
    )
    for number, duty in enumerate(duties):
        drawing.text(305, 88 + 31 * number, duty)
    drawing.arrow((120, 150), (210, 150), "one address")
    for y, name, path in (
        (30, "user-service", "/api/users"),
        (127, "order-service", "/api/orders"),
        (224, "payment-service", "/api/pay"),
    ):
        drawing.box(550, y, f"{name}\nand its data", w=150, h=46, colour=GREEN)
        drawing.arrow((400, y + 23), (550, y + 23), path)
    drawing.arrow((625, 173), (625, 224))
    drawing.text(634, 203, "POST /pay", anchor="start", size=11.5)
    return drawing


def gateway_timeout() -> Drawing:
    """Draw an order whose gateway gives up after one second, while its payment takes two."""
    drawing = Drawing(
        720, 400, "The gateway answers 504 after one second, and the order is made and paid later."
    )
    names = ("client", "api-gateway", "order-service", "payment-service")
    client, gateway, order, payment = drawing.lifelines(names, bottom=385, left=130, right=640)
    for second in range(3):
        y = 80 + 110 * second
        drawing.text(12, y + 4, f"{second} s", colour=SOFT, anchor="start")
        drawing.line([(36, y), (56, y)], colour=GREY)
    drawing.box(payment - 8, 104, "", w=16, h=212, colour=GREEN)
    drawing.text(payment + 16, 205, "pays:", anchor="start", size=11.5, colour=GREEN)
    drawing.text(payment + 16, 220, "2 s", anchor="start", size=11.5, colour=GREEN)
    drawing.arrow((client, 72), (gateway, 80), "POST /api/orders")
    drawing.arrow((gateway, 84), (order, 92), "POST /orders")
    drawing.arrow((order, 96), (payment - 8, 104), "POST /pay")
    drawing.line([(gateway + 9, 86), (gateway + 9, 190)], colour=ORANGE, width=2.4)
    drawing.text(gateway + 16, 142, "gateway waits 1 s,", colour=ORANGE, anchor="start", size=11.5)
    drawing.text(gateway + 16, 157, "then closes", colour=ORANGE, anchor="start", size=11.5)
    drawing.arrow((gateway, 196), (client, 204), "504, no answer in time", colour=ORANGE)
    drawing.arrow((payment - 8, 316), (order, 324), "paid", colour=GREEN)
    drawing.text(order + 10, 352, "order completed", colour=GREEN, anchor="start", size=11.5)
    drawing.arrow((order, 352), (gateway + 12, 360), "201, not received", dashed=True)
    drawing.cross(gateway, 361)
    return drawing


def deadline_budget() -> Drawing:
    """Draw how long three layers work on one request, each with its own timeout or with a common deadline."""
    drawing = Drawing(
        720, 330, "With a deadline that is passed on, all layers stop when the client stops."
    )
    zero, second = 150.0, 125.0
    end = zero + 3 * second
    layers = (("api-gateway", 0.0), ("order-service", 0.2), ("payment-service", 0.5))
    for top, text, common in (
        (34, "each layer has a timeout of 3 s of its own", False),
        (176, "each layer passes on the time that is left", True),
    ):
        drawing.text(zero, top, text, anchor="start", bold=True)
        for number, (name, start) in enumerate(layers):
            y = top + 14 + 32 * number
            x, left = zero + start * second, 3 - start
            drawing.text(zero - 10, y + 15, name, anchor="end")
            drawing.box(x, y, f"{left:.1f} s left" if common else "3.0 s", w=end - x, h=22)
            if start and not common:
                drawing.box(end, y, "", w=start * second, h=22, colour=ORANGE)
    drawing.text(end + 70, 87, "work on a request", anchor="start", colour=ORANGE, size=11.5)
    drawing.text(end + 70, 102, "that is over", anchor="start", colour=ORANGE, size=11.5)
    drawing.line([(end, 20), (end, 290)], colour=ORANGE, dashed=True)
    drawing.text(end, 14, "the client gives up: 3 s", colour=ORANGE, size=11.5)
    drawing.line([(zero, 290), (zero + 4 * second, 290)], colour=SOFT, head=True)
    for number in range(4):
        drawing.text(zero + number * second, 307, str(number), colour=SOFT, size=11.5)
    label = "time since the request was sent (s)"
    drawing.text(zero + 4 * second, 324, label, colour=SOFT, anchor="end", size=11.5)
    return drawing


def retry_tree() -> Drawing:
    """Draw the calls of one click when two layers try three times each."""
    drawing = Drawing(720, 330, "Three tries in each of two layers turn one click into nine calls.")
    heads = (
        (70, "one click"),
        (260, "api-gateway\ntries 3 times"),
        (450, "order-service tries\neach call 3 times"),
        (640, "payment-service\nreceives 9 calls"),
    )
    for x, text in heads:
        drawing.text(x, 24, text, bold=True)
    middle = 188
    drawing.arrow((78, middle), (250, middle), "1 request")
    drawing.circle(70, middle, 7, colour=GREY)
    drawing.circle(260, middle, 9)
    for call in range(3):
        y = middle + 96 * (call - 1)
        drawing.arrow((269, middle), (441, y))
        drawing.circle(450, y, 8)
        for again in range(3):
            at = y + 32 * (again - 1)
            drawing.arrow((458, y), (630, at))
            drawing.cross(640, at)
    return drawing


def breaker_states() -> Drawing:
    """Draw the three states of a circuit breaker, and what changes them."""
    drawing = Drawing(
        720,
        250,
        "A breaker is closed, opens after failures in a row, and is half-open for one probe.",
    )
    drawing.box(30, 90, "closed\nevery request passes", w=160, h=60, colour=GREEN)
    drawing.box(290, 90, "open\nno request passes", w=150, h=60, colour=ORANGE)
    drawing.box(540, 90, "half-open\none probe passes", w=150, h=60, colour=PURPLE)
    drawing.arrow((190, 108), (290, 108), "3 failures\nin a row")
    drawing.arrow((440, 108), (540, 108), "5 s later")
    drawing.arrow((540, 136), (440, 136), "the probe fails", above=-6)
    drawing.line([(615, 150), (615, 205), (110, 205), (110, 152)], colour=GREEN, head=True)
    drawing.text(362, 224, "the probe succeeds", colour=GREEN, size=11.5)
    drawing.line([(80, 90), (80, 50), (140, 50), (140, 88)], head=True)
    drawing.text(122, 40, "a success, or a 4xx: count from 0 again", size=11.5)
    return drawing


def three_limiters() -> Drawing:
    """Draw which requests of one client three kinds of limiter admit."""
    drawing = Drawing(
        720,
        290,
        "A fixed window admits nine requests at once, a token bucket five and then one each 2 s.",
    )
    zero, second = 130.0, 27.0
    sent = [Fraction(0), *(Fraction(number, 5) for number in range(46, 101))]
    rows = (("fixed window", _fixed()), ("moving window", _moving()), ("token bucket", _bucket()))
    for number, (name, admits) in enumerate(rows):
        y = 70 + 78 * number
        moments = [at for at in sent if admits(at)]
        drawing.text(zero - 14, y + 4, name, anchor="end", bold=True)
        drawing.line([(zero, y + 16), (zero + 20.8 * second, y + 16)], colour=GREY, head=True)
        for at in sent:
            x = zero + float(at) * second
            admitted = at in moments
            drawing.line(
                [(x, y - 16 if admitted else y + 8), (x, y + 16)],
                colour=BLUE if admitted else ORANGE,
                width=3 if admitted else 1.2,
            )
        text = f"most in 10 s: {_most(moments, 10)}, in 2 s: {_most(moments, 2)}"
        drawing.text(zero + 24, y - 2, text, anchor="start", colour=SOFT)
    for number in range(0, 21, 5):
        drawing.text(zero + number * second, 260, str(number), colour=SOFT, size=11.5)
    drawing.text(zero + 20.8 * second, 280, "time (s)", colour=SOFT, anchor="end", size=11.5)
    drawing.text(zero, 24, "long: admitted", colour=BLUE, anchor="start", size=11.5)
    drawing.text(zero + 110, 24, "short: refused", colour=ORANGE, anchor="start", size=11.5)
    return drawing


def _most(moments: Sequence[Fraction], seconds: int) -> int:
    """Return the most moments within a span that is shorter than `seconds`."""
    return max(sum(first <= at < first + seconds for at in moments) for first in moments)


def _fixed() -> Callable[[Fraction], bool]:
    window: list[Fraction] = []

    def admits(now: Fraction) -> bool:
        if window and now >= window[0] + SECONDS:
            window.clear()
        window.append(now)
        return len(window) <= LIMIT

    return admits


def _moving() -> Callable[[Fraction], bool]:
    admitted: list[Fraction] = []

    def admits(now: Fraction) -> bool:
        if sum(at > now - SECONDS for at in admitted) == LIMIT:
            return False
        admitted.append(now)
        return True

    return admits


def _bucket() -> Callable[[Fraction], bool]:
    tokens, filled = Fraction(LIMIT), Fraction(0)

    def admits(now: Fraction) -> bool:
        nonlocal tokens, filled
        tokens = min(Fraction(LIMIT), tokens + (now - filled) * LIMIT / SECONDS)
        filled = now
        if tokens < 1:
            return False
        tokens -= 1
        return True

    return admits
