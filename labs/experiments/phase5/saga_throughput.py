"""Throughput of sagas: how long orders take from the client to their end, at a steady rate."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from environment.waiting import wait_until
from labs.experiments.idle import idle_during
from labs.experiments.phase5 import coin
from labs.experiments.phase5.names import CANCELLED, CONFIRMED, ORDERS, PARTICIPANTS
from labs.experiments.phase5.orders import ITEMS
from labs.figures import BLUE, GREEN, PREDICTION, canvas, legend, mark_set_aside, styled
from labs.guessing import Guess, within_factor
from labs.judging import (
    SETTLED,
    Case,
    Finding,
    doubt,
    failure,
    on_schedule,
    plural,
    seen_twice,
    verdict,
)
from labs.load.open_loop import Load, Stream
from labs.published import read_published
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How long do orders take from the client to their end, at a steady rate?"

THEORY = (
    "An order takes the time of its accepting and of three hops, each a commit, an outbox, Kafka and an inbox: tens of "
    "milliseconds. Fifty orders per second are 192 events and 50 notifications per second. As long as a core is idle, "
    "no queue forms, on one replica of each participant and on three."
)

BOUNDS = {0.5: 0.1, 0.99: 0.5}
"""The longest times (seconds) of these shares of the orders."""

LAG_LIMIT = 0.02
"""How late (seconds) 1 % of the orders may be sent. Times count from the intended start: lag makes them only longer."""

IDLE_CORES = 0.3
"""With fewer idle cores than this, slow orders show a busy machine."""

ENDED_SECONDS = 30.0
"""Longest wait for the last orders to end."""

WARM_SECONDS = 2.0
"""The first seconds of a load, which are not counted: connections are made, and members of a group may still join."""

LAST_SECONDS = 0.5
"""The last part of a load, in which idle cores are not counted: the generator ends with its last response."""

FEWEST = 200
"""Orders of each case."""

JUDGED = (
    "half of the orders end within 100 ms of their intended start and 99 % within 500 ms, on each number of "
    "replicas; every accepted order ends"
)

COLOURS = (BLUE, GREEN)

GUESSES = {
    "tail": Guess(
        "Dozens of orders come per second. How many times as long as the median order does the "
        "order take that 99 % are faster than?",
        "times",
        measured=lambda samples: _tail(samples),
        right=within_factor(2),
        reference=3,
    ),
}


def predict(*, replicas: Sequence[int] = (1, 3), rate: float = 50) -> pd.DataFrame:
    """Return `THEORY` as numbers: bounds, not predicted times.

    Columns: `replicas` (of each participant), `rate` (orders per second), `share` (of the orders), `bound` (seconds).
    """
    rows = [(n, rate, share, bound) for n in replicas for share, bound in BOUNDS.items()]
    return pd.DataFrame(rows, columns=["replicas", "rate", "share", "bound"])


def measure(
    env: Environment, *, replicas: Sequence[int] = (1, 3), rate: float = 50, seconds: float = 10
) -> pd.DataFrame:
    """Place orders at this rate on each number of replicas; each participant then has as many as before.

    One row per order. Columns: `replicas`, those of `Load.samples` without `stream`, `order` (its id), `total` (seconds
    from the intended start to the event of its end, by the clock of its publisher; empty without an end), `idle` (cores
    that no program used meanwhile), `runtime`, `attempt`.
    """
    parts = []
    for count in replicas:
        with _scaled(env, count):
            parts.append(_place(env, rate, seconds).assign(replicas=count))
    return pd.concat(parts, ignore_index=True).assign(runtime=env.runtime, attempt=1)


def _place(env: Environment, rate: float, seconds: float) -> pd.DataFrame:
    user = f"steady-{uuid.uuid4().hex[:8]}"
    body, key = {"userId": user, "items": ITEMS}, {"Idempotency-Key": "k{number}"}
    orders = Stream("orders", f"{env[ORDERS].url}/orders", rate, "POST", body, key)
    length = WARM_SECONDS + seconds
    with Load(orders, seconds=length, seed=env.seed) as load:
        idle = idle_during(load, WARM_SECONDS, length - LAST_SECONDS)
    samples = load.samples.drop(columns="stream")
    ids = [coin.order_id(seed=env.seed, user=user, key=f"k{number}") for number in samples.index]
    ends = _follow(env, [id for id, ok in zip(ids, samples["ok"], strict=True) if ok])
    samples = samples.assign(order=ids, idle=idle)
    samples["total"] = samples["order"].map(ends).astype(float) - samples["intended"]
    counted: pd.DataFrame = samples[samples["intended"] >= load.begun + WARM_SECONDS]
    return counted.reset_index(drop=True)


def _follow(env: Environment, ids: Iterable[str]) -> dict[str, float]:
    """Return when each of these orders ended (unix seconds), once all have, or after a time."""
    wanted, ends = set(ids), dict[str, float]()

    def ended() -> bool:
        published = read_published(env)
        last = published[published["topic"].isin([CONFIRMED, CANCELLED])]
        ends.update(zip(last["order"], last["at"], strict=True))
        return wanted <= ends.keys()

    wait_until(ended, timeout=ENDED_SECONDS, every=1)
    return ends


@contextmanager
def _scaled(env: Environment, count: int) -> Iterator[None]:
    """Give each participant this number of replicas, and at the end of the block as many as before."""
    before = {service: len(env[service].replicas) for service in PARTICIPANTS}
    changed = [service for service in PARTICIPANTS if before[service] != count]
    try:
        for service in changed:
            env.scale(service, count)
        yield
    finally:
        for service in changed:
            env.scale(service, before[service])


def _tail(samples: pd.DataFrame) -> float:
    """Return the 99th percentile on the fewest replicas, as a multiple of the median."""
    total = samples.loc[samples["replicas"] == samples["replicas"].min(), "total"]
    return float(total.quantile(0.99) / total.median())


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare the shares of each attempt with their bounds.

    Policy: seen twice, since a busy machine makes orders slower and never faster. Slow orders fail only when cores were
    idle meanwhile, so that the system and not the machine was slow. Attempts whose load lagged are set aside.
    """
    schedule = on_schedule(samples, lag_limit=LAG_LIMIT, loads=_loads)
    cases = [Case("", schedule.findings(_all_ended))]
    for row in prediction.to_dict("records"):
        name = f"{plural(row['replicas'], 'replica')}, {row['share']:.0%} of the orders"
        findings = schedule.findings(partial(_within, expected=row))
        times = schedule.shown.loc[schedule.shown["replicas"] == row["replicas"], "total"]
        cases.append(Case(name, findings, {"seconds": float(times.quantile(row["share"]))}))
    return verdict(__name__, JUDGED, cases, seen_twice, details=schedule.details)


def _loads(part: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for _, load in part.groupby("replicas"):
        yield load


def _all_ended(part: pd.DataFrame) -> Finding:
    if not part["ok"].all():
        return doubt("not every order was accepted")
    return SETTLED if part["total"].notna().all() else doubt("not every order had ended in time")


def _within(part: pd.DataFrame, expected: Mapping[Any, Any]) -> Finding:
    orders = part[part["replicas"] == expected["replicas"]]
    if len(orders) < FEWEST:
        return doubt("too few orders")
    if orders["total"].fillna(np.inf).quantile(expected["share"]) <= expected["bound"]:
        return SETTLED
    if (orders["idle"] < IDLE_CORES).any():
        return doubt("orders were slow while other programs used the machine")
    return failure("orders took longer than the bound")


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the share of the orders that had ended after each time, per number of replicas; the bounds dashed."""
    schedule = on_schedule(samples, lag_limit=LAG_LIMIT, loads=_loads)
    shown, counts = schedule.shown, list(dict.fromkeys(prediction["replicas"]))
    middle = [shown.loc[shown["replicas"] == n, "total"].median() for n in counts]
    texts = [
        f"{1000 * each:,.0f} ms on {plural(n, 'replica')}"
        for n, each in zip(counts, middle, strict=True)
    ]
    figure, (ax,) = canvas(
        f"Half of the orders ended within {', '.join(texts)}",
        runtime=samples["runtime"].iloc[0],
        note=f"{prediction['rate'].iloc[0]:g} orders/s; {schedule.counted}",
        height=4.0,
    )
    for colour, count in zip(COLOURS, counts, strict=False):
        _step(ax, schedule.samples, count, color=colour, label=plural(count, "replica"))
        for _, attempt in schedule.aside.groupby("attempt"):
            mark_set_aside(ax, *_share(attempt.loc[attempt["replicas"] == count, "total"]))
    for row in prediction.drop_duplicates("share").to_dict("records"):
        label = "bound" if row["share"] == prediction["share"].iloc[0] else None
        ax.plot([row["bound"]] * 2, [0, 100 * row["share"]], label=label, **PREDICTION)
        ax.plot([row["bound"]], [100 * row["share"]], "o", ms=6, color=PREDICTION["color"])
    ax.set_xscale("log")
    ax.set_xticks(
        [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2], ["0.02", "0.05", "0.1", "0.2", "0.5", "1", "2"]
    )
    ax.set_xlim(0.015, 3)
    ax.set_ylim(-3, 106)
    ax.set_xlabel("time from the intended start to the end of the saga (s)")
    ax.set_ylabel("orders (%)")
    legend(figure, ax)
    return figure


def _step(ax: Any, samples: pd.DataFrame, count: int, **style: Any) -> None:
    ax.step(*_share(samples.loc[samples["replicas"] == count, "total"]), where="post", **style)


def _share(times: pd.Series[float]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    moments = np.sort(times.dropna())
    return moments, 100 * np.arange(1, len(moments) + 1) / max(1, len(times))
