"""The diagrams of the chapter on events."""

from __future__ import annotations

from labs.running.diagrams.drawing import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SOFT,
    Drawing,
)


def accepted_and_done() -> Drawing:
    """Compare when an order is accepted and when it is done, with a call and with an event."""
    drawing = Drawing(
        720,
        330,
        "With a call, an order is accepted when its payment is made; with an event it is accepted at once, "
        "and is done no sooner.",
    )
    _call(drawing)
    _event(drawing)
    drawing.line([(318, 8), (318, 320)], colour=GREY, width=1, dashed=True)
    return drawing


def _call(drawing: Drawing) -> None:
    client, order, payment = _lifelines(drawing, ("client", "order", "payment"), left=52)
    drawing.arrow((client, 66), (order, 72), "POST")
    drawing.arrow((order, 92), (payment - 22, 98), "pay")
    drawing.box(payment - 22, 94, "s", w=44, h=146, colour=ORANGE)
    drawing.arrow((payment - 22, 236), (order, 242), "paid")
    drawing.arrow((order, 262), (client, 268), "201")
    drawing.text(14, 318, "accepted and done", anchor="start", bold=True)


def _event(drawing: Drawing) -> None:
    names = ("client", "order", "Kafka", "payment")
    client, order, kafka, payment = _lifelines(drawing, names, left=378)
    drawing.arrow((client, 66), (order, 72), "POST")
    drawing.arrow((order, 90), (client, 96), "201")
    drawing.text(client, 318, "accepted", bold=True)
    drawing.arrow((order, 94), (kafka, 100), "event")
    drawing.arrow((kafka, 102), (payment - 22, 108))
    drawing.box(payment - 22, 104, "s", w=44, h=146, colour=ORANGE)
    drawing.arrow((payment - 22, 246), (kafka, 252), "event")
    drawing.arrow((kafka, 254), (order, 260))
    drawing.text(order, 318, "done", bold=True)


def _lifelines(drawing: Drawing, names: tuple[str, ...], *, left: float) -> list[float]:
    """Draw time lines closer together than `Drawing.lifelines` does, and return the x of each."""
    places = [left + 98 * number for number in range(len(names))]
    for x, name in zip(places, names, strict=True):
        drawing.line([(x, 40), (x, 300)], colour=GREY, width=1.1)
        drawing.box(x - 38, 12, name, w=76, h=28, colour=GREY)
    return places


def topic_and_group() -> Drawing:
    """Draw a topic of three partitions, a group of two members, committed offsets and the lag."""
    drawing = Drawing(
        720,
        300,
        "A topic of three partitions, each a log with offsets, and a group of two members that share them.",
    )
    drawing.box(12, 104, "order-service\nkey = order id", w=112, h=52, colour=BLUE)
    ends, committed = (7, 5, 6), (4, 5, 3)
    for number, (end, settled) in enumerate(zip(ends, committed, strict=True)):
        _partition(drawing, 52 + 74 * number, number, end, settled)
    drawing.box(588, 66, "member A", w=112, h=72, colour=PURPLE)
    drawing.box(588, 204, "member B", w=112, h=40, colour=PURPLE)
    for x, y, at in ((508, 71, 92), (416, 145, 116), (462, 219, 222)):
        drawing.arrow((x, y), (586, at), colour=PURPLE)
    drawing.text(644, 58, "one group", colour=SOFT, size=11.5)
    drawing.text(
        352,
        284,
        "green: committed. orange: published, not committed. lag = 3 + 0 + 3 = 6 messages",
        colour=SOFT,
        size=11.5,
    )
    return drawing


def _partition(drawing: Drawing, y: float, number: int, end: int, settled: int) -> None:
    drawing.arrow((124, 130), (176, y + 19), colour=BLUE)
    drawing.text(178, y - 6, f"partition {number}", anchor="start", colour=SOFT, size=11.5)
    for offset in range(end):
        colour = GREEN if offset < settled else ORANGE
        drawing.box(180 + 46 * offset, y, str(offset), w=42, h=38, colour=colour)
    x = 180 + 46 * end
    drawing.line([(x, y), (x, y + 38)], colour=GREY, dashed=True)


def three_commits() -> Drawing:
    """Show what a crash does for three places of the commit: before the work, after it, and with an inbox."""
    drawing = Drawing(
        720,
        306,
        "Where the offset is committed decides what a crash does: loss, a second effect, or one effect.",
    )
    rows = (
        ("at most once", (("commit offset", GREY), ("effect", ORANGE)), "effect lost", ORANGE),
        ("at least once", (("effect", ORANGE), ("commit offset", GREY)), "effect twice", ORANGE),
        (
            "at least once,\none effect",
            (("effect + inbox row\none transaction", GREEN), ("commit offset", GREY)),
            "2nd delivery finds\nthe inbox row",
            GREEN,
        ),
    )
    for number, (name, steps, end, colour) in enumerate(rows):
        y = 30 + 92 * number
        drawing.text(12, y + 26, name, anchor="start", bold=True, middle=True)
        drawing.box(122, y, "read\nmessage", w=86, h=52, colour=BLUE)
        drawing.box(250, y, steps[0][0], w=132, h=52, colour=steps[0][1])
        drawing.box(440, y, steps[1][0], w=104, h=52, colour=steps[1][1])
        drawing.arrow((208, y + 26), (248, y + 26))
        drawing.arrow((382, y + 26), (438, y + 26))
        drawing.cross(409, y + 26, size=9)
        drawing.text(560, y + 26, end, anchor="start", colour=colour, bold=True, middle=True)
    drawing.text(409, 18, "crash", colour=ORANGE, size=11.5)
    return drawing


def outbox_to_inbox() -> Drawing:
    """Draw the way of an event: two local transactions, and a repeatable step between them."""
    drawing = Drawing(
        720,
        236,
        "An event on its way: a transaction with an outbox, a relay that may repeat, a transaction with an inbox.",
    )
    _database(drawing, 12, "order-service's database", ("orders", "outbox"))
    _database(drawing, 560, "payment-service's\ndatabase", ("charges", "inbox"))
    drawing.box(230, 108, "relay", w=76, h=44, colour=BLUE)
    drawing.box(338, 108, "topic", w=76, h=44, colour=PURPLE)
    drawing.box(446, 108, "consumer", w=84, h=44, colour=BLUE)
    drawing.arrow((162, 140), (228, 134), "read")
    drawing.arrow((306, 130), (336, 130))
    drawing.arrow((414, 130), (444, 130))
    drawing.arrow((530, 130), (558, 130))
    drawing.line([(358, 152), (358, 178), (268, 178), (268, 154)], colour=SOFT, head=True)
    drawing.text(312, 194, "acknowledged:\ndelete the row", colour=SOFT, size=11.5)
    drawing.line([(488, 152), (488, 178), (394, 178), (394, 154)], colour=SOFT, head=True)
    drawing.text(444, 194, "then commit\nthe offset", colour=SOFT, size=11.5)
    drawing.text(380, 84, "at least once: each step may be repeated", colour=ORANGE, bold=True)
    return drawing


def _database(drawing: Drawing, x: float, name: str, tables: tuple[str, str]) -> None:
    drawing.box(x, 64, "", w=150, h=134, colour=GREY)
    drawing.text(x + 75, 44 if "\n" not in name else 36, name, size=11.5, colour=SOFT)
    for number, table in enumerate(tables):
        drawing.box(x + 24, 78 + 46 * number, table, w=102, h=36, colour=GREEN)
    drawing.text(x + 75, 188, "one transaction", size=11.5, colour=INK)


def backlog_and_drain() -> Drawing:
    """Draw the lag during an outage of the consumers, and how long it takes to drain afterwards."""
    drawing = Drawing(
        720,
        290,
        "During an outage of ten minutes the lag grows to 4800 messages; it then drains for forty minutes.",
    )
    left, base, minute, message = 70, 236, 9.6, 170 / 4800
    drawing.axes(left, base, w=620, h=196, across="time (min)", upwards="lag (messages)")
    top = base - 4800 * message
    drawing.line([(left, base), (left + 10 * minute, top)], colour=ORANGE, width=2.4)
    drawing.line([(left + 10 * minute, top), (left + 50 * minute, base)], colour=BLUE, width=2.4)
    drawing.line([(left + 10 * minute, top), (left + 10 * minute, base)], colour=GREY, dashed=True)
    drawing.line([(left, top), (left + 10 * minute, top)], colour=GREY, dashed=True)
    drawing.text(left - 6, top + 4, "4800", anchor="end", size=11.5)
    for at in (10, 50):
        drawing.text(left + at * minute, base + 17, str(at), size=11.5)
    drawing.text(left + 5 * minute, base - 16, "outage", colour=ORANGE, size=11.5)
    drawing.text(
        left + 26 * minute, top + 10, "drain at μ - λ = 2 per second", anchor="start", colour=BLUE
    )
    drawing.text(left + 8, top - 8, "grows by λ = 8 per second", anchor="start", colour=ORANGE)
    drawing.text(
        left + 26 * minute,
        top + 30,
        "an order placed at minute 10 waits 4800 / 10 = 480 s",
        anchor="start",
        colour=INK,
        size=11.5,
    )
    drawing.text(left + 310, 280, "μ = 10 per second, λ = 8 per second", colour=SOFT, size=11.5)
    return drawing
