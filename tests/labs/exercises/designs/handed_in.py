"""Answers to the exercises in which a measurement is designed: their samples are drawn, and not measured."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

PLAN = "I vary the stream only, hold the rate and the machine, and send 200 requests of each."

Answer = dict[str, Any]


def chance() -> np.random.Generator:
    return np.random.default_rng(7)


def load(
    medians: dict[str, float], *, each: int = 200, rate: float = 20, spread: float = 0.002
) -> pd.DataFrame:
    """Return the samples of streams that take turns in an open loop."""
    rows = []
    for number, (stream, median) in enumerate(medians.items()):
        latency = median + spread * np.abs(chance().normal(size=each)) - 0.67 * spread
        intended = 1000 + (np.arange(each) + number / len(medians)) / rate
        rows.append(pd.DataFrame({"stream": stream, "intended": intended, "latency": latency}))
    samples = pd.concat(rows, ignore_index=True).assign(lag=0.0005, ok=True, status=200)
    return samples.sort_values("intended", ignore_index=True)


def answer(samples: Any, predicted: float, found: Any, holds: bool, **more: Any) -> Answer:
    return {
        "plan": PLAN,
        "samples": samples,
        "predicted": predicted,
        "found": found,
        "holds": holds,
        **more,
    }


def one_after_the_other(samples: pd.DataFrame) -> pd.DataFrame:
    """Return the samples with the same moments, and the streams in blocks."""
    blocks = samples.sort_values("stream", ignore_index=True, kind="stable")
    return blocks.assign(intended=samples["intended"])


def closed(samples: pd.DataFrame) -> pd.DataFrame:
    """Return the samples of a client that waits for each response, and names the starts `intended`."""
    ends = (samples["latency"] + 0.0005).cumsum()
    return samples.assign(intended=1000 + ends.shift(1, fill_value=0))


ORDERS = load({"order": 2.009, "payment": 2.004})
PARTS = load({"users": 0.0025, "orders": 0.0026, "dashboard": 0.0036}, spread=0.001, rate=40)
ORDER_RIGHT = answer(ORDERS, 0.020, (0.0045, 0.0055), False)
PARTS_RIGHT = answer(PARTS, 0.0, (0.0008, 0.0012), False)


def copies(counts: dict[int, float], *, seconds: float = 4, rate: float = 25) -> pd.DataFrame:
    """Return a load for each number of replicas, whose latency grows by so many seconds per second."""
    parts = [
        load({"work": 0.103}, each=round(seconds * rate), rate=rate, spread=0.001).assign(
            replicas=count
        )
        for count in counts
    ]
    for part, grows in zip(parts, counts.values(), strict=True):
        part["latency"] += grows * (part["intended"] - 1000)
    return pd.concat(parts, ignore_index=True)


COPIES = copies({2: 0.22, 3: 0.0})
COPIES_RIGHT = answer(COPIES, 3, 3, True)

RELOADED = load({"requests": 0.002}, each=1200, rate=100, spread=0.0005)
RELOADS = [1001.5, 1003.5, 1005.5, 1007.5, 1009.5]
RELOADS_RIGHT = answer(RELOADED, 0, 3 / 500, True, reloads=RELOADS)


def losing(samples: pd.DataFrame, *, after: float, requests: int) -> pd.DataFrame:
    """Return the samples with so many requests lost from a moment on."""
    lost = samples.index[samples["intended"] >= after][:requests]
    return samples.assign(ok=~samples.index.isin(lost))


BURSTS = [1001.0, 1009.0, 1017.0, 1025.0]


def bursts(begins: list[float], *, steady: float = 4, until: float = 1033) -> pd.DataFrame:
    """Return the orders of a steady stream, and of bursts of thirty."""
    steadily = load({"steady": 0.01}, each=round(steady * (until - 1000)), rate=steady)
    suddenly = [
        load({"burst": 0.01}, each=30, rate=40).assign(intended=begin + np.arange(30) / 40)
        for begin in begins
    ]
    table = pd.concat([steadily, *suddenly], ignore_index=True)
    return table.sort_values("intended", ignore_index=True)


def lag(begins: list[float], *, speed: float = 6, every: float = 0.1) -> pd.DataFrame:
    """Return a lag that rises in each burst, and then loses so many messages per second down to two."""
    rows = []
    for number, (begin, following) in enumerate(pairwise([*begins, begins[-1] + 8])):
        times = np.arange(begin, following - 0.01, every)
        since = times - begin
        peak = np.minimum(30 * since, 30)
        falls = speed * (1 + (0.02, -0.02, 0.01, 0)[number % 4]) * np.maximum(0, since - 1)
        left = np.maximum(2, peak - falls)
        rows.append(pd.DataFrame({"time": times, "lag": left}))
    return pd.concat(rows, ignore_index=True)


DRAINS_RIGHT = answer(bursts(BURSTS), 6, (5.85, 6.19), True, lag=lag(BURSTS))


def ends(refunded: int = 40, completed: int = 120, *, later: float = 0.05) -> pd.DataFrame:
    """Return orders that were completed, and among them some that were refunded, up to twice as much later."""
    count = refunded + completed
    kinds = np.where(np.arange(count) % (count // refunded) == 0, "refunded", "completed")
    wait = np.where(kinds == "refunded", chance().uniform(0, 2 * later, count), 0)
    paid = 1000 + np.arange(count) / 20
    work = 0.012 + 0.003 * np.abs(chance().normal(size=count))
    return pd.DataFrame(
        {
            "order": [f"order-{number}" for number in range(count)],
            "outcome": kinds,
            "paid": paid,
            "ended": paid + work + wait,
        }
    )


def changed(right: Answer, **fields: Any) -> Answer:
    return right | fields


def without(right: Answer, *names: str) -> Answer:
    return {name: value for name, value in right.items() if name not in names}


def with_samples(right: Answer, change: Callable[[pd.DataFrame], Any]) -> Answer:
    return right | {"samples": change(right["samples"])}


REFUNDS_RIGHT = answer(ends(), 0.0, (0.034, 0.067), False)
