"""Rebalance: how long orders wait when a member joins the group, leaves it, or dies."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from environment.waiting import wait_until
from labs.experiments.phase4.events import follow
from labs.experiments.phase4.names import CREATED, PAID, PAYMENTS, PAYMENTS_GROUP
from labs.experiments.phase4.orders import order_stream
from labs.experiments.replicas import reset_replicas
from labs.figures import BLUE, FAULT, PREDICTION, VERMILLION, canvas, legend, name_fault, styled
from labs.judging import (
    SETTLED,
    Case,
    Finding,
    doubt,
    each_attempt,
    every_attempt,
    failure,
    verdict,
)
from labs.load.open_loop import Load
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How long do orders wait when the members of a group change, and is one lost?"

THEORY = (
    "A member that joins or leaves announces it: partitions are reassigned once the work that was "
    "begun is done. A member that dies announces nothing; its partitions wait until its session "
    "timeout has passed. Another member does its unfinished work again, and nothing is lost."
)

JOINS, LEAVES, DIES = "joins", "leaves", "dies"

QUIET = 0.5
"""Seconds between the end of what was placed in one change and the next one, after its work: longer than an offset
that was stored waits for its commit. An order that the next change finds unfinished would wait for that one too."""

LONGEST = 60.0
"""Seconds that the three changes never take."""

ALLOWANCE = 5.0
"""Seconds, beside the session timeout, in which a partition has its next member."""

FINISH = 3.0
"""Seconds that a member which leaves gives to work that it has begun."""

ENOUGH = 10
"""Orders under way, or placed, during each change."""

JUDGED = (
    "when a member joins, leaves or dies, no order is lost, and none waits longer than the session "
    "timeout, five seconds and its work"
)


def predict(*, seconds: float, session: float = 6.0) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Args:
        seconds: Work on a payment.
        session: The group's session timeout, in seconds.

    Columns: `change`, `gap` (s that an order waits beyond its work, at most), `lost` (orders), `seconds`.
    """
    rows = [(JOINS, FINISH + ALLOWANCE), (LEAVES, FINISH + ALLOWANCE), (DIES, session + ALLOWANCE)]
    table = pd.DataFrame(rows, columns=["change", "gap"])
    return table.assign(lost=0, seconds=seconds)


def measure(env: Environment, *, seconds: float = 1, rate: float = 15) -> pd.DataFrame:
    """Place orders at an even `rate` while a member joins a group of two, leaves it, and another one dies.

    The one that dies is killed, and comes back after the last order. Leaves two members, with payments of `seconds`.

    One row per order. Columns: `order`, `published` and `paid` (unix seconds, by Kafka, of its first event and of its
    payment's; empty when it was never paid); of each change its beginning and end (unix seconds): `joins`,
    `joins_end`, and so on; `placed` (orders that were accepted), `runtime`, `attempt`.
    """
    reset_replicas(env, PAYMENTS, 2, PAYMENT_SLOTS=0, PAYMENT_SECONDS=seconds)
    _wait_until_shared(env, 2)
    user = f"rebalance-{uuid.uuid4().hex[:8]}"
    changes: dict[str, float] = {}
    with Load(order_stream("orders", env, user=user, rate=rate), seconds=LONGEST) as load:
        for change, members in ((JOINS, 3), (LEAVES, 2)):
            load.until(time.time() - load.begun + seconds + QUIET)
            changes[change] = time.time()
            env.scale(PAYMENTS, members)
            _wait_until_shared(env, members)
            changes[f"{change}_end"] = time.time()
        load.until(time.time() - load.begun + seconds + QUIET)
        changes[DIES] = time.time()
        with env[PAYMENTS].replicas[0].killed():
            _wait_until_shared(env, 1)
            changes[f"{DIES}_end"] = time.time()
            load.end_in(2 * QUIET)
    users = [f"{user}-{number}" for number in range(len(load.samples))]
    users = [name for name, ok in zip(users, load.samples["ok"], strict=True) if ok]
    created = follow(env, CREATED, users, by="user", seconds=ALLOWANCE)
    paid = follow(env, PAID, created["event"], seconds=ALLOWANCE + FINISH + seconds)
    first = paid.groupby("cause")["time"].min()
    table = pd.DataFrame({"order": created["order"], "published": created["time"]})
    table = table.assign(paid=created["event"].map(first).astype(float), **changes)
    return table.assign(placed=len(users), runtime=env.runtime, attempt=1)


def _wait_until_shared(env: Environment, members: int) -> None:
    """Return when so many members have all partitions among them, or the longest gap has passed."""

    def shared() -> bool:
        lag = env.kafka.lag(PAYMENTS_GROUP)
        holders = lag.loc[lag["topic"] == CREATED, "member"]
        return bool(len(holders) and holders.notna().all() and holders.nunique() == members)

    wait_until(shared, timeout=4 * ALLOWANCE, every=0.1)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare the longest wait of the orders of each change with its bound; a lost order fails.

    Policy: every attempt. A lost order is exact, and the five seconds of each bound are a busy machine's.
    """
    attempts = list(each_attempt(samples))
    changes = [[change_of(part, row) for part in attempts] for row in prediction.to_dict("records")]
    cases = [
        Case(f"a member {waits[0]['change']}", [_goes_on(wait) for wait in waits])
        for waits in changes
    ]
    cases.append(Case("", [_all_published(part) for part in attempts]))
    details = {"changes": [wait for waits in changes for wait in waits]}
    return verdict(__name__, JUDGED, cases, every_attempt, details=details)


def _goes_on(change: Mapping[str, Any]) -> Finding:
    if change["unpaid"] > change["lost"]:
        return failure("an order was lost")
    if change["waited"] > change["gap"]:
        return failure("an order waited longer than predicted")
    if change["orders"] < ENOUGH:
        return doubt("too few orders at that time")
    if change["change"] == DIES and change["waited"] < ALLOWANCE / 2:
        return doubt("no order waited for it, so the fault had no effect")
    return SETTLED


def _all_published(part: pd.DataFrame) -> Finding:
    if len(part) < part["placed"].iloc[0]:
        return failure("an order that was accepted was never published")
    return SETTLED


def change_of(part: pd.DataFrame, expected: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a predicted row with what the orders of that change had in an attempt.

    That is how many `orders`, how many `unpaid`, and the longest they `waited` beyond their work (s). An order belongs
    to a change when it was published in its time, or less than its work before.
    """
    change, seconds = expected["change"], expected["seconds"]
    since, until = part[change].iloc[0] - seconds - QUIET / 2, part[f"{change}_end"].iloc[0]
    orders = part[part["published"].between(since, until)]
    waits = (orders["paid"] - orders["published"] - seconds).dropna()
    return {
        **expected,
        "orders": len(orders),
        "unpaid": int(orders["paid"].isna().sum()),
        "waited": float(waits.max()) if len(waits) else 0.0,
    }


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw how long each order waited for its payment (s), over time, in the latest attempt.

    The changes are shaded, the bounds dashed, lost orders at the bottom.
    """
    last = samples[samples["attempt"] == samples["attempt"].max()]
    began = last["published"].min()
    figure, (ax,) = canvas(
        "How long orders wait when the members of a group change",
        runtime=last["runtime"].iloc[0],
        note=f"{len(last)} orders, payments of {prediction['seconds'].iloc[0]:g} s",
        height=4.4,
    )
    for row in prediction.to_dict("records"):
        edges = (row["change"], f"{row['change']}_end")
        window = tuple(last[edge].iloc[0] - began for edge in edges)
        ax.axvspan(window[0], window[1], **FAULT)
        name_fault(ax, window[0], window[1], f"a member {row['change']}")
        ax.plot(window, [row["gap"] + row["seconds"]] * 2, **PREDICTION)
    ax.plot([], [], label="bound: predicted, at most", **PREDICTION)
    style: dict[str, Any] = {"ms": 4, "color": BLUE, "label": "an order"}
    ax.plot(last["published"] - began, last["paid"] - last["published"], ".", **style)
    lost = last[last["paid"].isna()]
    ax.plot(lost["published"] - began, [0] * len(lost), "x", color=VERMILLION, label="a lost order")
    ax.set_ylim(-0.5, None)
    ax.set_xlabel("when the order was published (s)")
    ax.set_ylabel("until it was paid (s)")
    legend(figure, ax)
    return figure
