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
from labs.figures import (
    BLUE,
    FAULT,
    INK,
    ORANGE,
    PREDICTION,
    VERMILLION,
    canvas,
    legend,
    name_fault,
    styled,
)
from labs.guessing import Guess, within_factor
from labs.judging import (
    SETTLED,
    Case,
    Finding,
    doubt,
    each_attempt,
    failure,
    seen_twice,
    verdict,
)
from labs.load.open_loop import Load
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How long do orders wait when the members of a group change, and is one lost?"

THEORY = (
    "A member that joins or leaves announces it. Partitions change hands once the work that was begun "
    "is done, and each round of the group takes until the members' next heartbeat: two rounds for a "
    "member that joins, one for a member that leaves. A member that dies announces nothing: its "
    "partitions wait until its session timeout has passed, and another member does its unfinished work "
    "again. The other partitions go on; the payments made there are published once the dead member's "
    "lease on the outbox has ended, if it had the lease."
)

JOINS, LEAVES, DIES = "joins", "leaves", "dies"

ALL, ITS, OTHERS = "all", "its own", "the others"
"""The partitions whose orders a row is about."""

QUIET = 0.5
"""Seconds between the end of what was placed in one change and the next one, after its work: longer than an offset
that was stored waits for its commit. An order that the next change finds unfinished would wait for that one too."""

LONGEST = 60.0
"""Seconds that the three changes never take."""

ALLOWANCE = 1.0
"""Seconds of a busy machine, on top of a wait that is predicted."""

SHARED_SECONDS = 20.0
"""How long a group may take until its partitions are shared."""

PAID_SECONDS = 10.0
"""How long the last orders may take to be published, and paid for beyond their work."""

FINISH = 3.0
"""Seconds that a member which hands over gives to work that it has begun, at most."""

RENEWAL = 0.25
"""Of a lease: how often the replicas of a service look at it."""

COLOURS = {ITS: ORANGE, OTHERS: BLUE}

ENOUGH = 10
"""Orders under way, or placed, during each change."""

JUDGED = (
    "no order is lost; when a member joins or leaves, none waits longer than the work that was begun and "
    "a heartbeat for each round; when one dies, its orders wait for the session timeout, and no others do"
)

GUESSES = {
    "seconds": Guess(
        "A member of a consumer group is killed, and the session timeout is six seconds. How many "
        "seconds longer than its work does the unluckiest order of its partitions wait?",
        "s",
        measured=lambda samples: _longest_after_a_death(samples),
        right=within_factor(1.4),
        reference=6.5,
    ),
}


def predict(
    *, seconds: float, session: float = 6.0, heartbeat: float = 0.5, lease: float = 2.0
) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Args:
        seconds: Work on a payment.
        session: The group's session timeout, in seconds.
        heartbeat: Seconds from a member's heartbeat to its next.
        lease: Seconds for which a replica holds the lease on the outbox, unless it renews it.

    Columns: `change`, `partitions`, `low` and `high` (the longest wait of an order beyond its work, s), `lost`
    (orders), `seconds`.
    """
    begun = min(seconds, FINISH)
    rows = [
        (JOINS, ALL, 0.0, begun + 2 * heartbeat),
        (LEAVES, ALL, 0.0, begun + heartbeat),
        (DIES, ITS, session - heartbeat, session + heartbeat + seconds),
        (DIES, OTHERS, 0.0, lease * (1 + RENEWAL)),
    ]
    table = pd.DataFrame(rows, columns=["change", "partitions", "low", "high"])
    return table.assign(lost=0, seconds=seconds)


def measure(env: Environment, *, seconds: float = 1, rate: float = 15) -> pd.DataFrame:
    """Place orders at an even `rate` while a member joins a group of two, leaves it, and another one dies.

    The one that dies is killed, and comes back after the last order. Leaves two members, with payments of `seconds`.

    One row per order. Columns: `order`, `published` and `paid` (unix seconds, by Kafka, of its first event and of its
    payment's; empty when it was never paid); `its` (whether its partition was the dying member's); of each change its
    beginning and end (unix seconds): `joins`, `joins_end`, and so on; `placed` (orders that were accepted), `runtime`,
    `attempt`.
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
        dying = _partitions_of(env, env[PAYMENTS].replicas[0].id)
        changes[DIES] = time.time()
        with env[PAYMENTS].replicas[0].killed():
            _wait_until_shared(env, 1)
            changes[f"{DIES}_end"] = time.time()
            load.end_in(2 * QUIET)
    users = [f"{user}-{number}" for number in range(len(load.samples))]
    users = [name for name, ok in zip(users, load.samples["ok"], strict=True) if ok]
    created = follow(env, CREATED, users, by="user", seconds=PAID_SECONDS)
    paid = follow(env, PAID, created["event"], seconds=PAID_SECONDS + seconds)
    first = paid.groupby("cause")["time"].min()
    table = pd.DataFrame({"order": created["order"], "published": created["time"]})
    table = table.assign(its=created["partition"].isin(dying))
    table = table.assign(paid=created["event"].map(first).astype(float), **changes)
    return table.assign(placed=len(users), runtime=env.runtime, attempt=1)


def _wait_until_shared(env: Environment, members: int) -> None:
    """Return when so many members have all partitions among them, or the longest gap has passed."""

    def shared() -> bool:
        holders = _holders(env)
        return bool(len(holders) and holders.notna().all() and holders.nunique() == members)

    wait_until(shared, timeout=SHARED_SECONDS, every=0.1)


def _holders(env: Environment) -> pd.Series[str]:
    """Return the member of each partition of the orders' topic, by the partition's number."""
    lag = env.kafka.lag(PAYMENTS_GROUP)
    return lag[lag["topic"] == CREATED].set_index("partition")["member"]


def _partitions_of(env: Environment, member: str) -> list[int]:
    holders = _holders(env)
    return [int(number) for number in holders.index[holders == member]]


def _longest_after_a_death(samples: pd.DataFrame) -> float:
    """Return the longest wait of the dead member's orders beyond one second of work, in the last attempt."""
    *_, last = each_attempt(samples)
    waited: float = change_of(last, {"change": DIES, "partitions": ITS, "seconds": 1})["waited"]
    return waited


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare the longest wait of each change with the predicted one; a lost order fails.

    Policy: seen twice. A busy machine makes a wait longer, never shorter, so that one attempt within the prediction
    and `ALLOWANCE` shows that the group can. A lost order, and a member that is missed too early, are certain.
    """
    attempts = list(each_attempt(samples))
    changes = [[change_of(part, row) for part in attempts] for row in prediction.to_dict("records")]
    cases = [Case(_name(waits[0]), [_goes_on(wait) for wait in waits]) for waits in changes]
    cases.append(Case("", [_all_published(part) for part in attempts]))
    details = {"changes": [wait for waits in changes for wait in waits]}
    return verdict(__name__, JUDGED, cases, seen_twice, details=details)


def _name(change: Mapping[str, Any]) -> str:
    others = ", the other partitions" if change["partitions"] == OTHERS else ""
    return f"a member {change['change']}{others}"


def _goes_on(change: Mapping[str, Any]) -> Finding:
    if change["unpaid"] > change["lost"]:
        return failure("an order was lost", certain=True)
    if change["waited"] > change["high"] + ALLOWANCE:
        return failure("an order waited longer than predicted")
    if change["orders"] < ENOUGH:
        return doubt("too few orders at that time")
    if change["waited"] < change["low"] / 2:
        return doubt("no order waited for it, so the fault had no effect")
    if change["waited"] < change["low"]:
        return failure("a member was missed before its session timeout", certain=True)
    return SETTLED


def _all_published(part: pd.DataFrame) -> Finding:
    if len(part) < part["placed"].iloc[0]:
        return failure("an order that was accepted was never published", certain=True)
    return SETTLED


def change_of(part: pd.DataFrame, expected: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a predicted row with what the orders of that change had in an attempt.

    That is how many `orders`, how many `unpaid`, and the longest they `waited` beyond their work (s). An order belongs
    to a change when it was published in its time, or less than its work before, to one of the row's partitions.
    """
    change, seconds = expected["change"], expected["seconds"]
    since, until = part[change].iloc[0] - seconds - QUIET / 2, part[f"{change}_end"].iloc[0]
    orders = part[part["published"].between(since, until)]
    if expected["partitions"] != ALL:
        orders = orders[orders["its"] == (expected["partitions"] == ITS)]
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

    The changes are shaded, the predicted longest waits dashed, lost orders at the bottom.
    """
    last = samples[samples["attempt"] == samples["attempt"].max()]
    began = last["published"].min()
    changes = [change_of(last, row) for row in prediction.to_dict("records")]
    figure, (ax,) = canvas(
        _finding_of(changes),
        runtime=last["runtime"].iloc[0],
        note=f"{len(last)} orders, payments of {prediction['seconds'].iloc[0]:g} s",
        height=4.4,
    )
    for change in changes:
        edges = (change["change"], f"{change['change']}_end")
        window = tuple(last[edge].iloc[0] - began for edge in edges)
        if change["partitions"] != OTHERS:
            ax.axvspan(window[0], window[1], **FAULT)
            name_fault(ax, window[0], window[1], f"a member {change['change']}")
        colour = COLOURS.get(change["partitions"], INK)
        line = {**PREDICTION, "color": colour}
        ax.plot(window, [change["high"] + change["seconds"]] * 2, **line)
    ax.plot([], [], label="bound", **PREDICTION)
    dead = last["its"] & (last["published"] >= last[DIES].iloc[0] - prediction["seconds"].iloc[0])
    for chosen, colour, label in (
        (~dead, BLUE, "an order"),
        (dead, ORANGE, "of the dead member"),
    ):
        orders = last[chosen.astype(bool)]
        waits = orders["paid"] - orders["published"]
        ax.plot(orders["published"] - began, waits, ".", ms=4, color=colour, label=label)
    lost = last[last["paid"].isna()]
    ax.plot(lost["published"] - began, [0] * len(lost), "x", color=VERMILLION, label="a lost order")
    ax.set_ylim(-0.5, None)
    ax.set_xlabel("when the order was published (s)")
    ax.set_ylabel("until it was paid (s)")
    legend(figure, ax)
    return figure


def _finding_of(changes: list[dict[str, Any]]) -> str:
    """Return the longest waits as a title."""
    waits = {(change["change"], change["partitions"]): change["waited"] for change in changes}
    return (
        f"A join delayed orders by up to {waits[JOINS, ALL]:.1f} s, a leave by "
        f"{waits[LEAVES, ALL]:.1f} s, a death by {waits[DIES, ITS]:.1f} s"
    )
