"""The diagrams of phase 3: where a request goes, when a replica is passed over, how a version is released."""

from __future__ import annotations

import math
from itertools import pairwise

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

_POINTS = {0.02: 1, 0.17: 2, 0.38: 3, 0.5: 1, 0.68: 2, 0.86: 3}
"""The points of each replica on the ring, by their place (0 to 1, clockwise from the top)."""

_KEYS = {"a": 0.1, "b": 0.27, "c": 0.44, "d": 0.6, "e": 0.78, "f": 0.94}
_OWNERS = {1: BLUE, 2: ORANGE, 3: GREEN}


def hash_ring() -> Drawing:
    """Draw which replica each key belongs to by consistent hashing, before and after one replica dies."""
    drawing = Drawing(
        720,
        330,
        "On a hash ring each key belongs to the next point clockwise; when replica 2 dies, only its keys move.",
    )
    alive = {place: owner for place, owner in _POINTS.items() if owner != 2}
    _ring(drawing, 185, "three replicas, two points each", _POINTS)
    _ring(drawing, 535, "replica 2 has died", alive)
    drawing.text(
        360,
        318,
        "the keys of replica 2, a and d, move to the next point; b, c, e and f stay where they are",
        colour=SOFT,
        size=11.5,
    )
    return drawing


def _ring(drawing: Drawing, x: float, name: str, points: dict[float, int]) -> None:
    middle, radius = 170.0, 98.0

    def at(place: float, distance: float) -> Point:
        angle = 2 * math.pi * place
        return x + distance * math.sin(angle), middle - distance * math.cos(angle)

    drawing.text(x, 20, name, bold=True)
    places = sorted(points)
    for start, end in pairwise([places[-1] - 1, *places]):
        steps = [start + (end - start) * step / 40 for step in range(41)]
        colour = _OWNERS[points[end]]
        drawing.line([at(step, radius) for step in steps], colour=colour, width=5)
    for place, owner in points.items():
        drawing.circle(*at(place, radius), 11, colour=_OWNERS[owner], filled=False)
        drawing.text(*at(place, radius), str(owner), colour=_OWNERS[owner], bold=True, middle=True)
    for key, place in _KEYS.items():
        owner = points[next((p for p in places if p >= place), places[0])]
        drawing.circle(*at(place, radius), 4, colour=_OWNERS[owner])
        drawing.text(*at(place, radius + 20), key, middle=True)
    drawing.line([at(0.05 * step, 58) for step in range(4)], colour=SOFT, head=True)
    drawing.text(x, middle + 12, "clockwise to\nthe next point", colour=SOFT, size=11, middle=True)


def two_choices() -> Drawing:
    """Draw which share of the replicas has at least k requests, by one random choice and by two."""
    drawing = Drawing(
        720,
        300,
        "At a utilisation of 0.9, two random choices leave far fewer replicas with a long queue than one.",
    )
    left, bottom, high, step = 70.0, 250.0, 200.0, 62.0
    drawing.axes(
        left,
        bottom,
        w=610,
        h=215,
        across="",
        upwards="share of the replicas that have at least k requests (0 to 1)",
    )
    for share in (0.5, 1.0):
        drawing.text(left - 8, bottom - high * share + 4, f"{share:g}", anchor="end", size=11)
    drawing.text(left - 8, bottom + 4, "0", anchor="end", size=11)
    counts = range(1, 10)
    ways = (
        ("one choice: 0.9 to the power k", ORANGE, [0.9**k for k in counts]),
        ("two choices: 0.9 to the power 2^k - 1", BLUE, [0.9 ** (2**k - 1) for k in counts]),
    )
    for _, colour, shares in ways:
        points = [
            (left + 40 + step * place, bottom - high * share) for place, share in enumerate(shares)
        ]
        drawing.line(points, colour=colour, width=2)
        for point in points:
            drawing.circle(*point, 4, colour=colour)
    for k in counts:
        drawing.text(left + 40 + step * (k - 1), bottom + 16, str(k), size=11)
    drawing.text(
        left + 610,
        bottom + 36,
        "k, requests at a replica (count)",
        colour=SOFT,
        anchor="end",
        size=11.5,
    )
    drawing.text(470, 108, ways[0][0], colour=ORANGE, anchor="start")
    drawing.text(345, 212, ways[1][0], colour=BLUE, anchor="start")
    return drawing


def passive_check() -> Drawing:
    """Draw the attempts that nginx sends to three replicas, of which one dies and comes back."""
    drawing = Drawing(
        720,
        270,
        "nginx passes a dead replica over for fail_timeout, tries it once, and passes it over again.",
    )
    rows = [80.0, 120.0, 160.0]
    start, unit, dies, healed, timeout = 100.0, 100.0, 1.0, 3.9, 1.6
    for number, y in enumerate(rows, start=1):
        drawing.text(16, y, f"replica {number}", anchor="start", middle=True)
        drawing.line([(start - 8, y), (start + 600, y)], colour=GREY, width=1)
    dead = start + unit * dies, start + unit * healed
    drawing.line([(x, rows[2]) for x in dead], colour=ORANGE, width=5)
    drawing.text(sum(dead) / 2, 186, "dead: refuses connections", colour=ORANGE, size=11.5)
    turn, passed_over = 0, 0.0
    for number in range(24):
        time = 0.25 * number
        x = start + unit * time
        if turn == 2 and time < passed_over:
            turn = 0
        if turn == 2 and dies <= time < healed:
            passed_over = time + timeout
            turn = 0
            drawing.cross(x, rows[2])
            drawing.line([(x, rows[2] - 9), (x + 14, rows[0] + 8)], colour=ORANGE, head=True)
            drawing.circle(x + 16, rows[0], 4.5, colour=ORANGE)
            drawing.line([(x, 212), (x + unit * timeout, 212)], colour=SOFT, head=True)
            drawing.text(
                x + unit * timeout / 2, 230, "passed over: fail_timeout", colour=SOFT, size=11.5
            )
        else:
            drawing.circle(x, rows[turn], 4.5, colour=BLUE)
        turn = (turn + 1) % 3
    drawing.text(225, 36, "an attempt fails and\nis repeated elsewhere", colour=ORANGE, size=11.5)
    drawing.text(415, 36, "one more attempt\nafter fail_timeout", colour=ORANGE, size=11.5)
    drawing.text(610, 36, "tried again, answers,\nand takes its turn", colour=BLUE, size=11.5)
    drawing.text(708, 260, "time", colour=SOFT, anchor="end", size=11.5)
    return drawing


def three_releases() -> Drawing:
    """Draw the share of the requests that the new version serves, by three ways of releasing it."""
    drawing = Drawing(
        720,
        260,
        "Rolling raises the new version's share step by step, blue-green at once, a canary after a decision.",
    )
    _release(drawing, 30, "rolling, three replicas", [(0, 0), (1, 0), (2, 0.5), (3, 1), (4, 1)])
    _release(drawing, 270, "blue-green", [(0, 0), (2, 1), (4, 1)])
    _release(drawing, 510, "canary", [(0, 0), (0.7, 0.2), (2.2, 1), (4, 1)])
    drawing.text(120, 243, "one replica is away\nduring each step", colour=SOFT, size=11.5)
    drawing.text(
        360, 243, "twice the replicas;\nthe way back is the same step", colour=SOFT, size=11.5
    )
    drawing.text(606, 130, "decision after\nm answers", colour=SOFT, anchor="start", size=11.5)
    drawing.line([(600, 172), (600, 200), (690, 200)], colour=ORANGE, dashed=True)
    drawing.text(606, 243, "too many errors:\nback to none", colour=ORANGE, size=11.5)
    return drawing


def _release(drawing: Drawing, x: float, name: str, steps: list[tuple[float, float]]) -> None:
    bottom, high, unit = 200.0, 140.0, 40.0
    drawing.text(x + 85, 20, name, bold=True)
    drawing.axes(x, bottom, w=185, h=high + 12, across="time", upwards="share of version 2")
    drawing.text(x - 5, bottom - high + 4, "1", anchor="end", size=11)
    drawing.text(x - 5, bottom + 4, "0", anchor="end", size=11)
    points: list[Point] = []
    for (time, share), (until, _) in pairwise(steps):
        y = bottom - high * share
        points += [(x + unit * time, y), (x + unit * until, y)]
    drawing.line(points, colour=GREEN, width=2.4)


def service_path() -> Drawing:
    """Draw how a connection to a Service reaches a Pod, and which controllers write the rules for it."""
    drawing = Drawing(
        720,
        360,
        "A connection to a Service's address is rewritten by the node's kernel; controllers only write the rules.",
    )
    drawing.text(
        14, 16, "what is written down, and what controllers make of it", anchor="start", bold=True
    )
    drawing.box(20, 40, "Service\n(selects a label)", w=130, h=44, colour=GREY)
    drawing.box(200, 40, "EndpointSlice\n(ready Pods)", w=130, h=44, colour=PURPLE)
    drawing.box(390, 40, "kube-proxy\n(on each node)", w=130, h=44, colour=PURPLE)
    drawing.arrow((150, 62), (198, 62))
    drawing.arrow((330, 62), (388, 62), "watches")
    drawing.box(570, 40, "kubelet\n(probes its Pods)", w=136, h=44, colour=PURPLE)
    drawing.line(
        [(638, 40), (638, 30), (265, 30), (265, 38)], colour=PURPLE, head=True, dashed=True
    )
    drawing.text(560, 25, "ready or not", colour=PURPLE, size=11.5)
    drawing.text(14, 150, "the path of a connection", anchor="start", bold=True)
    drawing.box(20, 208, "client Pod", w=100, h=44)
    drawing.box(170, 170, "cluster DNS", w=110, h=36, colour=GREY)
    drawing.arrow((100, 206), (168, 190), dashed=True)
    drawing.text(130, 182, "name?", size=11.5)
    drawing.box(
        330,
        192,
        "the node's kernel:\nClusterIP becomes\nthe address of a Pod",
        w=170,
        h=76,
        colour=ORANGE,
    )
    drawing.arrow((120, 230), (328, 230), "connection to the ClusterIP", above=-4)
    drawing.arrow((455, 84), (430, 190), colour=PURPLE)
    drawing.text(452, 140, "writes rules", colour=PURPLE, anchor="start", size=11.5)
    for number, y in enumerate((158, 218, 278), start=1):
        drawing.box(590, y, f"Pod {number}", w=110, h=36, colour=GREEN)
        drawing.arrow((500, 230), (588, y + 18), dashed=number != 2)
    drawing.line([(672, 84), (672, 156)], colour=PURPLE, head=True, dashed=True)
    drawing.text(666, 122, "GET /ready", colour=PURPLE, anchor="end", size=11.5)
    drawing.text(
        360,
        342,
        "one random choice per connection: all requests of a connection reach the same Pod",
        colour=SOFT,
        size=11.5,
    )
    return drawing


def rule_chain() -> Drawing:
    """Draw the chain of kube-proxy's rules for three Pods, with the share that reaches and leaves each."""
    drawing = Drawing(
        720,
        190,
        "Three rules with probabilities 1/3, 1/2 and 1 give each of three Pods one third of the connections.",
    )
    rules = (("1/3", "all of them"), ("1/2", "2/3 are left"), ("1", "1/3 is left"))
    for number, (probability, left) in enumerate(rules, start=1):
        x = 110.0 + 220 * (number - 1)
        drawing.box(x, 40, f"rule {number}\nprobability {probability}", w=130, h=48, colour=ORANGE)
        drawing.box(x + 15, 136, f"Pod {number}", w=100, h=36, colour=GREEN)
        drawing.arrow((x + 65, 88), (x + 65, 134))
        drawing.text(x + 72, 115, "takes 1/3 of all", anchor="start", size=11.5)
        drawing.arrow((x - 88 if number > 1 else 20, 64), (x - 2, 64))
        drawing.text(x - 45, 54, left, size=11.5)
    return drawing


def pod_shutdown() -> Drawing:
    """Draw how a Pod shuts down: it pauses and still serves until the other nodes have changed their rules."""
    drawing = Drawing(
        720,
        330,
        "A Pod that shuts down pauses until every node has removed it from its rules, and only then drains.",
    )
    api, pod, node = drawing.lifelines(
        ["API server", "the Pod", "other nodes"], bottom=310, left=110, right=580
    )
    drawing.arrow((api, 70), (pod, 78), "the kubelet of its node")
    drawing.arrow((api, 70), (node, 176), colour=PURPLE)
    drawing.text(212, 128, "EndpointSlice, then\nkube-proxy's rules", colour=PURPLE, size=11.5)
    drawing.line([(pod, 78), (pod, 186)], colour=ORANGE, width=6)
    drawing.text(
        pod - 12, 160, "preStop: sleeps\nand still serves", colour=ORANGE, anchor="end", size=11.5
    )
    drawing.arrow((node, 96), (pod, 104), "new connections still come", colour=ORANGE)
    drawing.arrow((node, 132), (pod, 140), colour=ORANGE)
    drawing.text(
        node + 10, 180, "rules changed:\nnone from now on", colour=PURPLE, anchor="start", size=11.5
    )
    drawing.line([(pod, 186), (pod, 268)], colour=BLUE, width=6)
    drawing.text(pod + 14, 206, "SIGTERM", anchor="start", bold=True)
    drawing.text(
        pod + 14,
        232,
        "drains: finishes the\nrequests under way",
        colour=BLUE,
        anchor="start",
        size=11.5,
    )
    drawing.cross(pod, 272)
    drawing.text(pod + 14, 277, "exits", anchor="start")
    drawing.line([(140, 84), (128, 84), (128, 302), (140, 302)], colour=SOFT)
    drawing.text(
        140,
        232,
        "grace period:\npause and draining\nmust both fit",
        colour=SOFT,
        anchor="start",
        size=11.5,
    )
    drawing.text(pod + 14, 305, "SIGKILL, if it still runs", colour=SOFT, anchor="start", size=11.5)
    drawing.line([(pod - 8, 302), (pod + 8, 302)], colour=SOFT)
    return drawing
