"""The right and the usual wrong answers to the exercises in which a measurement is designed, by exercise."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.labs.exercises.designs.handed_in import (
    BURSTS,
    COPIES_RIGHT,
    DRAINS_RIGHT,
    ORDER_RIGHT,
    PARTS_RIGHT,
    REFUNDS_RIGHT,
    RELOADS,
    RELOADS_RIGHT,
    bursts,
    closed,
    copies,
    ends,
    lag,
    load,
    losing,
    one_after_the_other,
    with_samples,
)

RIGHT: dict[str, list[Any]] = {
    "p0-4": [
        ORDER_RIGHT,
        ORDER_RIGHT | {"predicted": 0.005, "holds": True},
        ORDER_RIGHT | {"found": np.array([0.0048, 0.0052]), "holds": np.bool_(False)},
        with_samples(ORDER_RIGHT, lambda table: table.to_dict("records")),
        with_samples(ORDER_RIGHT, lambda table: table.to_dict("list")),
    ],
    "p1-5": [PARTS_RIGHT, PARTS_RIGHT | {"predicted": 0.001, "holds": True}],
    "p2-4": [
        COPIES_RIGHT,
        COPIES_RIGHT | {"predicted": 4, "holds": False},
        COPIES_RIGHT | {"samples": copies({1: 1.3, 2: 0.25, 3: 0.01, 4: 0})},
    ],
    "p3-5": [
        RELOADS_RIGHT,
        RELOADS_RIGHT | {"predicted": 0.01, "holds": False},
        RELOADS_RIGHT
        | {
            "samples": losing(RELOADS_RIGHT["samples"], after=1001.5, requests=10),
            "found": 0.034,
            "holds": False,
        },
    ],
    "p4-4": [DRAINS_RIGHT, DRAINS_RIGHT | {"predicted": 10, "holds": False}],
    "p5-4": [
        REFUNDS_RIGHT,
        REFUNDS_RIGHT | {"predicted": 0.05, "holds": True},
    ],
}

_ALONE = load({"order": 2.009}, each=200)
_SLOW_START = losing(ORDER_RIGHT["samples"], after=1002, requests=3)

WRONG: dict[str, list[tuple[Any, str]]] = {
    "p0-4": [
        (ORDER_RIGHT | {"samples": _ALONE}, "compare with is missing"),
        (with_samples(ORDER_RIGHT, one_after_the_other), "take turns"),
        (with_samples(ORDER_RIGHT, closed), "closed loop"),
        (with_samples(ORDER_RIGHT, lambda table: table.iloc[:10]), "wider than"),
        (with_samples(ORDER_RIGHT, lambda table: table.assign(lag=1.0)), "shaped what it measured"),
        (ORDER_RIGHT | {"samples": _SLOW_START}, "failed"),
        (
            ORDER_RIGHT | {"samples": load({"order": 0.009, "payment": 0.004})},
            "less than a second",
        ),
        (ORDER_RIGHT | {"found": (2.005, 2.013)}, "does not enclose"),
        (ORDER_RIGHT | {"found": (0.0, 0.1)}, "much wider"),
        (ORDER_RIGHT | {"found": (0.00499, 0.00501)}, "much narrower"),
        (ORDER_RIGHT | {"holds": True}, "contradicts"),
    ],
    "p1-5": [
        (
            with_samples(PARTS_RIGHT, lambda table: table[table["stream"] != "orders"]),
            "compare with is missing",
        ),
        (with_samples(PARTS_RIGHT, one_after_the_other), "take turns"),
        (with_samples(PARTS_RIGHT, closed), "closed loop"),
        (
            with_samples(
                PARTS_RIGHT,
                lambda table: table[(table["stream"] != "users") | (table.index % 2 == 0)],
            ),
            "same rate",
        ),
        (with_samples(PARTS_RIGHT, lambda table: table.iloc[:12]), "wider than"),
        (PARTS_RIGHT | {"found": (-0.0016, -0.0014)}, "does not enclose"),
        (PARTS_RIGHT | {"holds": True}, "contradicts"),
    ],
    "p2-4": [
        (COPIES_RIGHT | {"samples": copies({3: 0.0})}, "fewer are not enough"),
        (COPIES_RIGHT | {"samples": copies({1: 1.5, 3: 0.0})}, "fewer are not enough"),
        (COPIES_RIGHT | {"found": 2, "samples": copies({1: 1.5, 2: 0.2})}, "longer and longer"),
        (COPIES_RIGHT | {"found": 4, "samples": copies({3: 0, 4: 0})}, "one replica fewer"),
        (COPIES_RIGHT | {"samples": copies({2: 0.2, 3: 0}, rate=20)}, "hold the rate"),
        (COPIES_RIGHT | {"samples": copies({2: 0.2, 3: 0}, seconds=1)}, "needs time"),
        (COPIES_RIGHT | {"samples": copies({2: 0.07, 3: 0})}, "do not show"),
        (with_samples(COPIES_RIGHT, lambda table: table.assign(latency=0.01)), "less than"),
        (with_samples(COPIES_RIGHT, lambda table: table.assign(lag=1.0)), "schedule"),
        (COPIES_RIGHT | {"predicted": 2}, "contradicts"),
    ],
    "p3-5": [
        (RELOADS_RIGHT | {"reloads": []}, "while the load runs"),
        (RELOADS_RIGHT | {"reloads": [*RELOADS, 1300]}, "while the load runs"),
        (RELOADS_RIGHT | {"reloads": RELOADS[:2]}, "more often"),
        (
            RELOADS_RIGHT | {"samples": load({"requests": 0.002}, each=400, rate=33)},
            "rule of three",
        ),
        (
            RELOADS_RIGHT | {"reloads": [1000.0 + second for second in range(11)]},
            "far from every reload",
        ),
        (RELOADS_RIGHT | {"found": 0}, "cannot exclude"),
        (RELOADS_RIGHT | {"found": 3 / 1200}, "does not follow"),
        (with_samples(RELOADS_RIGHT, lambda table: table.assign(lag=1.0)), "schedule"),
        (RELOADS_RIGHT | {"predicted": 0.01}, "contradicts"),
    ],
    "p4-4": [
        (
            with_samples(DRAINS_RIGHT, lambda table: table[table["stream"] == "burst"]),
            "compare with is missing",
        ),
        (DRAINS_RIGHT | {"samples": bursts(BURSTS, steady=8)}, "Hold the rate"),
        (DRAINS_RIGHT | {"samples": bursts(BURSTS, until=1010)}, "keep coming"),
        (
            DRAINS_RIGHT | {"samples": bursts(BURSTS[:1]), "lag": lag(BURSTS[:1])},
            "no spread",
        ),
        (DRAINS_RIGHT | {"lag": lag(BURSTS, every=0.9)}, "too seldom"),
        (
            DRAINS_RIGHT | {"lag": DRAINS_RIGHT["lag"].assign(time=1000.0)},
            "Sum the partitions",
        ),
        (DRAINS_RIGHT | {"found": (9.8, 10.2)}, "does not enclose"),
        (DRAINS_RIGHT | {"found": (0, 12)}, "much wider"),
        (DRAINS_RIGHT | {"predicted": 10}, "contradicts"),
    ],
    "p5-4": [
        (
            with_samples(REFUNDS_RIGHT, lambda table: table[table["outcome"] == "refunded"]),
            "compare with is missing",
        ),
        (
            with_samples(
                REFUNDS_RIGHT,
                lambda table: table.assign(
                    paid=table["paid"] + 60 * (table["outcome"] != "refunded")
                ),
            ),
            "before they were paid",
        ),
        (
            with_samples(
                REFUNDS_RIGHT,
                lambda table: table.sort_values("outcome", kind="stable").assign(
                    paid=table["paid"].to_numpy(), ended=table["ended"].to_numpy()
                ),
            ),
            "take turns",
        ),
        (with_samples(REFUNDS_RIGHT, lambda table: table.assign(order="order-1")), "twice"),
        (REFUNDS_RIGHT | {"samples": ends(8, 24)}, "wider than"),
        (REFUNDS_RIGHT | {"found": (0.0, 0.02)}, "does not enclose"),
        (REFUNDS_RIGHT | {"predicted": 0.05}, "contradicts"),
    ],
}

ODD: list[tuple[str, Any, str]] = [
    ("p0-4", 0.005, "no dictionary"),
    ("p0-4", {"plan": ORDER_RIGHT["plan"]}, "no `samples` and no `predicted`"),
    ("p0-4", ORDER_RIGHT | {"plan": "many samples"}, "what you hold"),
    ("p0-4", ORDER_RIGHT | {"samples": []}, "no column `stream`"),
    ("p0-4", ORDER_RIGHT | {"samples": 3}, "`samples` is no table"),
    ("p0-4", ORDER_RIGHT | {"samples": {"stream": [1], "lag": []}}, "`samples` is no table"),
    (
        "p0-4",
        with_samples(ORDER_RIGHT, lambda table: table.drop(columns=["lag"])),
        "no column `lag`",
    ),
    ("p0-4", with_samples(ORDER_RIGHT, lambda table: table.iloc[:0]), "has no rows"),
    (
        "p0-4",
        with_samples(ORDER_RIGHT, lambda table: table.assign(latency="2 s")),
        "a text in a column of numbers",
    ),
    (
        "p0-4",
        with_samples(ORDER_RIGHT, lambda table: table.assign(latency=np.nan)),
        "empty or infinite",
    ),
    ("p0-4", with_samples(ORDER_RIGHT, lambda table: table.assign(stream=1)), "column of texts"),
    ("p0-4", ORDER_RIGHT | {"found": 0.005}, "a float"),
    ("p0-4", ORDER_RIGHT | {"found": (np.nan, np.nan)}, "`found` is empty, or has an empty or"),
    ("p0-4", ORDER_RIGHT | {"predicted": np.inf}, "`predicted` is empty, or has an empty or"),
    ("p0-4", ORDER_RIGHT | {"holds": "no"}, "neither True nor False"),
    ("p2-4", COPIES_RIGHT | {"found": 2.5}, "a whole one"),
    (
        "p0-4",
        ORDER_RIGHT | {"samples": load({"order": 2, "payment": 2}, each=10_001)},
        "20,000 rows",
    ),
    ("p3-5", RELOADS_RIGHT | {"reloads": list(np.linspace(1001, 1010, 101))}, "more than 100"),
    ("p3-5", RELOADS_RIGHT | {"found": 3}, "shares between 0 and 1"),
]
