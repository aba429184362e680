"""The diagrams of phase 5: sagas, the checking of designs, and streams."""

from __future__ import annotations

from labs.running.diagrams.drawing import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SOFT, Drawing


def outcome_trees() -> Drawing:
    """Draw the events of one order as a tree, for each of its three outcomes."""
    drawing = Drawing(720, 330, "The events of an order form a tree, one for each outcome.")
    colours = {"O": BLUE, "P": ORANGE, "I": GREEN}
    columns = (
        (120, "completed: 4 events, 3 hops", ("O OrderCreated", "P PaymentCompleted")),
        (120 + 240, "payment fails: 3 events, 2 hops", ("O OrderCreated", "P PaymentFailed")),
        (120 + 480, "inventory fails: 5 events, 3 hops", ("O OrderCreated", "P PaymentCompleted")),
    )
    rest = (
        ("I InventoryReserved", "O OrderConfirmed"),
        ("O OrderCancelled",),
        ("I InventoryFailed", "O OrderCancelled"),
    )
    for (x, title, first), last in zip(columns, rest, strict=True):
        drawing.text(x, 24, title, bold=True)
        shift = -30 if "inventory" in title else 0
        for row, event in enumerate((*first, *last)):
            service, name = event.split()
            y = 42 + row * 62
            ends = row == len(first) + len(last) - 1
            left = x - 75 + (shift if ends else 0)
            width = 132 if ends and shift else 150
            drawing.box(left, y, name, w=width, h=34, colour=colours[service])
            if row:
                drawing.arrow((x + (shift if ends else 0), y - 28), (x + (shift if ends else 0), y))
    drawing.box(632, 228, "Payment-\nRefunded", w=80, h=40, colour=ORANGE)
    drawing.arrow((662, 200), (672, 228))
    for x, name, colour in (
        (150, "published by order-service", BLUE),
        (350, "by payment-service", ORANGE),
        (530, "by inventory-service", GREEN),
    ):
        drawing.circle(x - 90, 305, 6, colour=colour)
        drawing.text(x - 76, 309, name, anchor="start", colour=SOFT)
    return drawing


def deadline_and_grace() -> Drawing:
    """Draw two outages on a time line: of a participant, and of order-service itself."""
    drawing = Drawing(
        720, 330, "A deadline counts only after order-service has consumed for ten seconds."
    )

    def at(seconds: float) -> float:
        return 150 + seconds * 32

    for seconds in range(0, 18, 3):
        drawing.line([(at(seconds), 40), (at(seconds), 290)], colour=GREY, width=0.6, dashed=True)
        drawing.text(at(seconds), 308, f"{seconds} s", colour=SOFT, size=11.5)
    drawing.line([(at(3), 34), (at(3), 290)], colour=ORANGE, width=1.6)
    drawing.text(at(3) + 4, 26, "deadline of the order, T = 3 s", colour=ORANGE, anchor="start")

    drawing.text(12, 62, "A participant\nis silent", anchor="start", bold=True)
    drawing.box(
        at(0), 56, "order-service consumes, and has for longer than 10 s", w=16.5 * 32, h=24
    )
    drawing.box(at(0), 88, "inventory-service is away", w=8 * 32, h=24, colour=GREY)
    drawing.circle(at(3.6), 128, colour=ORANGE)
    drawing.text(
        at(3.6) + 12, 132, "cancelled at the next look, within 1 s", anchor="start", colour=ORANGE
    )

    drawing.text(12, 186, "order-service\nis away", anchor="start", bold=True)
    drawing.box(at(1), 176, "it is away", w=4 * 32, h=24, colour=GREY)
    drawing.box(at(5), 176, "grace: it consumes for 10 s first", w=10 * 32, h=24, colour=PURPLE)
    drawing.box(at(15), 176, "looks", w=1.6 * 32, h=24)
    drawing.circle(at(2), 224, colour=GREEN, filled=False)
    drawing.text(at(2) - 10, 228, "answer", anchor="end", colour=GREEN)
    drawing.line([(at(2) + 6, 224), (at(5.4), 224)], colour=GREEN, dashed=True, head=True)
    drawing.text(
        at(5.4) + 10,
        228,
        "the answer waited in Kafka, and is read first",
        anchor="start",
        colour=GREEN,
    )
    drawing.circle(at(5.7), 254, colour=GREEN)
    drawing.text(at(5.7) + 12, 258, "completed, after its deadline", anchor="start", colour=GREEN)
    return drawing


def two_coordinations() -> Drawing:
    """Draw who consumes what of whom, without a coordinator and with one."""
    drawing = Drawing(
        720,
        330,
        "In choreography services react to events; in orchestration one service sends commands.",
    )
    drawing.text(180, 24, "choreography: 6 pairs", bold=True)
    drawing.box(120, 46, "order-service", w=120, h=38)
    drawing.box(20, 236, "payment-service", w=130, h=38, colour=ORANGE)
    drawing.box(220, 236, "inventory-service", w=130, h=38, colour=GREEN)
    drawing.line([(140, 84), (62, 236)], head=True)
    drawing.line([(92, 236), (162, 84)], colour=ORANGE, head=True)
    drawing.line([(198, 84), (268, 236)], head=True)
    drawing.line([(300, 236), (220, 84)], colour=GREEN, head=True)
    drawing.line([(150, 246), (220, 246)], colour=ORANGE, head=True)
    drawing.line([(220, 264), (150, 264)], colour=GREEN, head=True)
    drawing.text(180, 302, "events about what has happened", colour=SOFT)

    drawing.line([(360, 16), (360, 314)], colour=GREY, width=0.8)
    drawing.text(540, 24, "orchestration: 4 pairs", bold=True)
    drawing.box(470, 46, "order-service\nkeeps the step", w=140, h=46, colour=PURPLE)
    drawing.box(380, 236, "payment-service", w=130, h=38, colour=ORANGE)
    drawing.box(570, 236, "inventory-service", w=130, h=38, colour=GREEN)
    drawing.line([(498, 92), (426, 236)], colour=PURPLE, head=True)
    drawing.line([(456, 236), (522, 92)], colour=ORANGE, head=True)
    drawing.line([(558, 92), (622, 236)], colour=PURPLE, head=True)
    drawing.line([(652, 236), (584, 92)], colour=GREEN, head=True)
    drawing.text(436, 150, "command", anchor="end", colour=PURPLE, size=11.5)
    drawing.text(540, 194, "replies", colour=SOFT, size=11.5)
    drawing.text(636, 150, "command", anchor="start", colour=PURPLE, size=11.5)
    drawing.text(540, 302, "commands for each step, and replies", colour=SOFT)
    return drawing


def stale_check() -> Drawing:
    """Draw the order of actions in which a check that was true no longer is."""
    drawing = Drawing(
        720, 366, "A check that was true at its time lets an old plan replace a new one."
    )
    slow, record, fast = drawing.lifelines(
        ["Enactor A (slow)", "DNS record", "Enactor B"], bottom=350, left=150, right=570
    )
    drawing.text(slow - 12, 72, "1  checks: is plan 1\nnewer? yes", anchor="end", size=11.5)
    drawing.circle(slow, 72, colour=GREEN)
    drawing.text(slow - 12, 130, "long delay", anchor="end", colour=SOFT, size=11.5)
    drawing.line([(slow, 80), (slow, 206)], colour=ORANGE, width=3, dashed=True)
    drawing.text(fast + 12, 112, "2  checks: is plan 9\nnewer? yes", anchor="start", size=11.5)
    drawing.circle(fast, 112, colour=GREEN)
    drawing.arrow((fast, 152), (record + 4, 152), "3  apply plan 9", colour=GREEN)
    drawing.text(record - 10, 156, "plan 9", anchor="end", colour=GREEN, bold=True)
    drawing.arrow((slow, 212), (record - 4, 212), "4  apply plan 1", colour=ORANGE)
    drawing.text(record + 10, 216, "plan 1", anchor="start", colour=ORANGE, bold=True)
    drawing.arrow((fast, 266), (record + 4, 266), "5  delete old plans", colour=ORANGE)
    drawing.cross(record, 300)
    drawing.text(
        record + 14, 304, "empty: plan 1 was old", anchor="start", colour=ORANGE, bold=True
    )
    drawing.text(
        record - 14, 304, "no plan can be applied now", anchor="end", colour=SOFT, size=11.5
    )
    return drawing


def cancel_overtakes() -> Drawing:
    """Draw the shortest way to a cancelled order that is charged."""
    drawing = Drawing(720, 400, "The cancel overtakes the order, and the charge comes after it.")
    order, payment, inventory = drawing.lifelines(
        ["order-service", "payment-service", "inventory-service"], bottom=386, left=150, right=570
    )
    drawing.text(order - 12, 70, "1  OrderCreated", anchor="end")
    drawing.text(order - 12, 112, "2  deadline:\ncancelled", anchor="end", colour=ORANGE)
    drawing.text(order - 12, 160, "3  OrderCancelled", anchor="end")
    drawing.line([(order, 66), (payment - 4, 252)], colour=BLUE, dashed=True, head=True)
    drawing.circle(order, 112, colour=ORANGE)
    drawing.line([(order, 156), (payment - 4, 198)], colour=ORANGE, head=True)
    drawing.line([(order, 156), (inventory - 4, 330)], colour=ORANGE, head=True)
    drawing.circle(payment, 198, colour=ORANGE)
    drawing.text(
        payment + 12,
        190,
        "4  nothing to undo,\nand nothing is stored",
        anchor="start",
        colour=ORANGE,
    )
    drawing.circle(payment, 252, colour=BLUE)
    drawing.text(payment - 12, 276, "5  charged", anchor="end", colour=BLUE, bold=True)
    drawing.line([(payment, 292), (inventory - 4, 366)], colour=BLUE, head=True)
    drawing.text(payment - 12, 300, "6  PaymentCompleted", anchor="end")
    drawing.text(inventory + 12, 334, "7  barred", anchor="start")
    drawing.text(inventory + 12, 370, "8  barred: no effect", anchor="start")
    drawing.text(
        order - 12, 330, "at rest:\ncancelled, charged,\nnot refunded", anchor="end", colour=ORANGE
    )
    return drawing


def breadth_first() -> Drawing:
    """Draw the levels of a walk, and the shortest way to a wrong world."""
    drawing = Drawing(720, 300, "A walk breadth first reaches a wrong world by a shortest way.")
    levels = ((150,), (100, 200), (60, 140, 240), (50, 110, 170, 230), (70, 150, 250))
    edges = (
        ((0, 0), (0, 1)),
        ((0, 0), (0, 1), (1, 1), (1, 2)),
        ((0, 0), (1, 1), (1, 2), (2, 2), (2, 3)),
        ((1, 0), (1, 1), (3, 2), (2, 2)),
    )
    way = {(0, 0, 0), (1, 0, 1), (2, 1, 1), (3, 1, 0)}

    def x(level: int) -> float:
        return 90 + level * 130

    for level, pairs in enumerate(edges):
        for start, end in pairs:
            on_way = (level, start, end) in way
            drawing.line(
                [(x(level) + 9, levels[level][start]), (x(level + 1) - 10, levels[level + 1][end])],
                colour=ORANGE if on_way else GREY,
                width=2.4 if on_way else 1.2,
                head=True,
            )
    for level, places in enumerate(levels):
        drawing.text(x(level), 282, f"after {level}" if level else "first world", colour=SOFT)
        for place in places:
            drawing.circle(x(level), place, 8, colour=BLUE, filled=False)
    drawing.circle(x(4), 70, 8, colour=ORANGE)
    drawing.text(x(4) + 18, 66, "a property\nis broken", anchor="start", colour=ORANGE)
    drawing.text(x(1) + 40, 26, "one world, reached twice, is kept once", colour=SOFT)
    drawing.line([(x(2) - 40, 32), (x(2) - 4, 128)], colour=SOFT, width=0.9, dashed=True)
    return drawing


def two_times() -> Drawing:
    """Draw when events happened against when they were read, with an outage of the reader."""
    drawing = Drawing(
        720, 370, "After an outage of its reader, the events of 40 seconds are read at once."
    )
    left, floor = 90, 310

    def across(seconds: float) -> float:
        return left + seconds * 4.6

    def upwards(seconds: float) -> float:
        return floor - seconds * 2.3

    drawing.axes(
        left,
        floor,
        w=600,
        h=270,
        across="event time: when it happened (s)",
        upwards="processing time (s)",
    )
    drawing.curve(lambda u: (across(110 * u), upwards(110 * u)), colour=GREY, dashed=True)
    drawing.text(across(96), upwards(85), "no delay", colour=SOFT, anchor="start")
    for happened in range(4, 110, 8):
        away = 30 <= happened < 70
        read = 72 if away else happened + 3
        colour = ORANGE if away else BLUE
        drawing.circle(across(happened), upwards(read), 4.5, colour=colour)
    drawing.line([(across(36), upwards(72) - 12), (across(68), upwards(72) - 12)], colour=ORANGE)
    drawing.text(
        across(42), upwards(72) - 20, "happened during the outage, all read at 72 s", colour=ORANGE
    )
    drawing.line(
        [(across(30), floor), (across(30), upwards(33))], colour=GREY, dashed=True, width=0.9
    )
    drawing.line(
        [(across(70), floor), (across(70), upwards(72))], colour=GREY, dashed=True, width=0.9
    )
    drawing.text(across(50), floor - 10, "the reader is away", colour=SOFT)
    for seconds in (30, 70):
        drawing.text(across(seconds), floor + 17, str(seconds), colour=SOFT, size=11.5)
    return drawing


def panes_and_windows() -> Drawing:
    """Draw six panes, and the tumbling and hopping windows that are made of them."""
    drawing = Drawing(720, 300, "Each window is the sum of its panes.")
    values = (3, 5, 2, 4, 1, 6)

    def x(pane: float) -> float:
        return 150 + pane * 88

    drawing.text(20, 62, "panes of 10 s", anchor="start", bold=True)
    for number, value in enumerate(values):
        drawing.box(x(number), 40, str(value), w=84, h=36, colour=GREY)
        drawing.text(x(number), 92, f"12:00:{number}0", colour=SOFT, size=11, anchor="start")
    drawing.text(20, 136, "tumbling,\nsize 30 step 30", anchor="start", bold=True)
    for first in (0, 3):
        total = sum(values[first : first + 3])
        drawing.box(x(first), 118, f"{total} orders", w=3 * 88 - 4, h=34)
    drawing.text(20, 190, "hopping,\nsize 30 step 10", anchor="start", bold=True)
    for first in range(4):
        total = sum(values[first : first + 3])
        drawing.box(x(first), 172 + first * 31, f"{total} orders", w=3 * 88 - 4, h=26, colour=GREEN)
    return drawing


def watermark_of_partitions() -> Drawing:
    """Draw the newest events of four partitions, and the watermark that follows from them."""
    drawing = Drawing(
        720,
        330,
        "The watermark follows the active partition that was read least far, less the lateness.",
    )

    def at(seconds: float) -> float:
        return 170 + seconds * 20

    rows = (
        ("partition 0", (2, 7, 12, 20), 20, BLUE, ""),
        ("partition 1", (4, 9, 18), 18, BLUE, "unread messages"),
        ("partition 2", (1, 11, 15, 21), 21, BLUE, ""),
        ("partition 3", (3, 6), 6, GREY, "read to its end, silent: idle"),
    )
    for number, (name, events, newest, colour, remark) in enumerate(rows):
        y = 56 + number * 52
        drawing.text(20, y + 4, name, anchor="start", bold=True)
        drawing.line([(at(0), y), (at(25), y)], colour=GREY, width=1)
        for event in events:
            drawing.circle(at(event), y, 6 if event == newest else 4.5, colour=colour)
        drawing.text(
            at(newest),
            y - 12,
            f"12:00:{newest:02}",
            colour=colour if colour != GREY else SOFT,
            size=11.5,
        )
        if number == 1:
            for event in (20, 22, 24):
                drawing.circle(at(event), y, 4.5, colour=BLUE, filled=False)
            drawing.text(at(22.5), y + 20, remark, colour=SOFT, size=11.5)
        elif remark:
            drawing.text(at(0), y + 20, remark, colour=SOFT, size=11.5, anchor="start")
    drawing.line([(at(13), 30), (at(13), 268)], colour=ORANGE, width=2.2)
    drawing.text(at(13), 22, "watermark 12:00:13", colour=ORANGE, bold=True)
    drawing.line([(at(18), 108), (at(18), 250)], colour=SOFT, dashed=True)
    drawing.line([(at(18), 250), (at(13) + 2, 250)], colour=SOFT, head=True)
    drawing.text(at(18) + 8, 254, "less 5 s of lateness", colour=SOFT, size=11.5, anchor="start")
    drawing.text(
        at(0),
        300,
        "an event that is read now and happened before 12:00:13 is late",
        colour=INK,
        anchor="start",
    )
    return drawing


def lambda_and_kappa() -> Drawing:
    """Draw the programs that read the log in Lambda and in Kappa."""
    drawing = Drawing(
        720, 320, "Lambda keeps two programs over the log, Kappa one program in two versions."
    )
    drawing.text(180, 24, "Lambda", bold=True)
    drawing.box(20, 120, "log", w=70, h=60, colour=GREY)
    drawing.box(140, 60, "batch: the whole log,\nagain and again", w=150, h=48, colour=ORANGE)
    drawing.box(140, 196, "stream: what came\nsince the last batch", w=150, h=48)
    drawing.box(240, 134, "their sum", w=96, h=36, colour=PURPLE)
    drawing.line([(90, 136), (140, 94)], head=True)
    drawing.line([(90, 164), (140, 212)], head=True)
    drawing.line([(276, 108), (284, 134)], head=True)
    drawing.line([(276, 196), (284, 170)], head=True)
    drawing.text(180, 290, "two programs, which must have one rule", colour=SOFT)

    drawing.line([(360, 16), (360, 304)], colour=GREY, width=0.8)
    drawing.text(540, 24, "Kappa", bold=True)
    drawing.box(384, 120, "log", w=70, h=60, colour=GREY)
    drawing.box(496, 60, "stream, version 1", w=140, h=40)
    drawing.box(496, 200, "stream, version 2\nfrom the first event", w=150, h=46, colour=GREEN)
    drawing.line([(454, 136), (496, 88)], head=True)
    drawing.line([(454, 164), (496, 214)], head=True)
    drawing.arrow((570, 104), (570, 196), colour=GREEN, dashed=True)
    drawing.text(
        582, 146, "switch, when it\nhas caught up", colour=GREEN, anchor="start", size=11.5
    )
    drawing.text(540, 290, "one program, in two versions for a while", colour=SOFT)
    return drawing
