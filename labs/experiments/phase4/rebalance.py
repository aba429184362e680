"""Rebalance."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

import pandas as pd

from environment.waiting import wait_until
from labs.experiments.phase4.accept_and_done import order_stream
from labs.experiments.phase4.events import follow
from labs.experiments.phase4.key_order import COMPLETED, CREATED
from labs.experiments.replicas import reset_replicas
from labs.figures import BLUE, FAULT, PREDICTION, VERMILLION, canvas, legend, name_fault, styled
from labs.load.open_loop import Load
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How long do orders wait when the members of a group change, and is one lost?"

THEORY = (
    "A member who joins or leaves says so: partitions change hands once the work that was "
    "begun is done. One who dies says nothing; its partitions wait until the group has "
    "missed it for the session timeout. What it had not finished is worked on again, and "
    "nothing is lost."
)

PAYMENTS = "payment-service"
GROUP = "payment-service-group"

JOINS, LEAVES, DIES = "joins", "leaves", "dies"

QUIET = 0.5
"""Seconds between the end of what was placed in one change and the next one, after its work: longer than an offset
that was stored waits for its commit. An order that the next change finds unfinished would wait for that one too."""

LONGEST = 60.0
"""Seconds that the three changes never take."""

ALLOWANCE = 5.0
"""Seconds, beside the session timeout, in which a partition has its next member."""

FINISH = 3.0
"""Seconds that a member who leaves gives to work that it has begun."""

ENOUGH = 10
"""Orders under way, or placed, during each change."""

JUDGED = (
    "whoever joins, leaves or dies, no order is lost, and none waits longer than the session "
    "timeout, five seconds and its work"
)


def predict(*, seconds: float, session: float = 6.0) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    `seconds` is the work on a payment. Columns: `change`, `gap` (s that an order waits beyond its
    work, at most), `lost` (orders), `seconds`.
    """
    rows = [(JOINS, FINISH + ALLOWANCE), (LEAVES, FINISH + ALLOWANCE), (DIES, session + ALLOWANCE)]
    table = pd.DataFrame(rows, columns=["change", "gap"])
    return table.assign(lost=0, seconds=seconds)


def measure(env: Environment, *, seconds: float = 1, rate: float = 15) -> pd.DataFrame:
    """Orders at an even `rate` while a third payment-service joins a group of two, leaves it, and
    one of the two is killed and comes back. Leaves two, with payments of `seconds`.

    One row per order. Columns: `order`, `told` and `paid` (unix seconds, by Kafka; empty when it
    was never paid); of each change its beginning and end (unix seconds): `joins`, `joins_end`, and
    so on; `placed` (orders that were accepted), `runtime`, `attempt`.
    """
    reset_replicas(env, PAYMENTS, 2, PAYMENT_SLOTS=0, PAYMENT_SECONDS=seconds)
    _shared_by(env, 2)
    user = f"rebalance-{uuid.uuid4().hex[:8]}"
    changes: dict[str, float] = {}
    with Load(order_stream("orders", env, user=user, rate=rate), seconds=LONGEST) as load:
        for change, act in ((JOINS, _join), (LEAVES, _leave), (DIES, _die)):
            load.until(time.time() - load.begun + seconds + QUIET)
            changes[change] = time.time()
            act(env)
            changes[f"{change}_end"] = time.time()
        load.end_in(2 * QUIET)
    users = [f"{user}-{number}" for number in range(len(load.samples))]
    users = [name for name, ok in zip(users, load.samples["ok"], strict=True) if ok]
    told = follow(env, CREATED, users, by="user", seconds=ALLOWANCE)
    paid = follow(env, COMPLETED, told["event"], seconds=ALLOWANCE + FINISH + seconds)
    table = pd.DataFrame({"order": told["order"], "told": told["time"]})
    first = paid.groupby("cause")["time"].min()
    table = table.assign(paid=told["event"].map(first).astype(float), **changes)
    return table.assign(placed=len(users), runtime=env.runtime, attempt=1)


def _join(env: Environment) -> None:
    env.scale(PAYMENTS, 3)
    _shared_by(env, 3)


def _leave(env: Environment) -> None:
    env.scale(PAYMENTS, 2)
    _shared_by(env, 2)


def _die(env: Environment) -> None:
    with env[PAYMENTS].replicas[0].killed():
        _shared_by(env, 1)
    _shared_by(env, 2)


def _shared_by(env: Environment, members: int) -> None:
    """Return when so many members have all partitions among them, or the longest gap has passed."""

    def shared() -> bool:
        lag = env.kafka.lag(GROUP)
        holders = lag.loc[lag["topic"] == CREATED, "member"]
        return bool(len(holders) and holders.notna().all() and holders.nunique() == members)

    wait_until(shared, timeout=4 * ALLOWANCE, every=0.1)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """The longest wait of the orders of each change against its bound; a lost order fails."""
    table = summarise(samples, prediction)
    failures, doubts = [], []
    for row in table.to_dict("records"):
        change = row["change"]
        if row["unpaid"] > row["lost"]:
            failures.append(f"a member {change}: an order was lost")
        if row["waited"] > row["gap"]:
            failures.append(f"a member {change}: an order waited longer than predicted")
        if row["orders"] < ENOUGH:
            doubts.append(f"a member {change}: too few orders at that time")
    if (samples.groupby("attempt").size() < samples.groupby("attempt")["placed"].first()).any():
        failures.append("an order that was accepted was never told")
    if table.loc[table["change"] == DIES, "waited"].max() < ALLOWANCE / 2:
        doubts.append("a member dies: no order waited for it, so the fault never hit")
    details = {"changes": table.to_dict("records")}
    return Verdict.of(
        __name__,
        JUDGED,
        failures=dict.fromkeys(failures),
        doubts=dict.fromkeys(doubts),
        details=details,
    )


def summarise(samples: pd.DataFrame, prediction: pd.DataFrame) -> pd.DataFrame:
    """Per attempt and change the prediction with what its orders had: how many `orders`, how many
    `unpaid`, and the longest they `waited` beyond their work (s).

    An order belongs to a change when it was told in its time, or less than its work before.
    """
    rows = []
    for _, part in samples.groupby("attempt"):
        for expected in prediction.to_dict("records"):
            change, seconds = expected["change"], expected["seconds"]
            since, until = part[change].iloc[0] - seconds - QUIET / 2, part[f"{change}_end"].iloc[0]
            mine = part[part["told"].between(since, until)]
            waited = (mine["paid"] - mine["told"] - seconds).max()
            found = {
                "orders": len(mine),
                "unpaid": int(mine["paid"].isna().sum()),
                "waited": float(waited) if len(mine.dropna(subset="paid")) else 0.0,
            }
            rows.append(expected | found)
    return pd.DataFrame(rows)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """How long each order waited for its payment (s), over time; the changes shaded, the bounds
    dashed, lost orders at the bottom."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    began = last["told"].min()
    figure, (ax,) = canvas(
        "Who waits when the members of a group change",
        runtime=last["runtime"].iloc[0],
        note=f"payments of {prediction['seconds'].iloc[0]:g} s",
        height=4.4,
    )
    for row in prediction.to_dict("records"):
        edges = (row["change"], f"{row['change']}_end")
        window = tuple(last[edge].iloc[0] - began for edge in edges)
        ax.axvspan(window[0], window[1], **FAULT)
        name_fault(ax, window[0], window[1], f"a member {row['change']}")
        ax.plot(window, [row["gap"] + row["seconds"]] * 2, **PREDICTION)
    ax.plot([], [], label="predicted, at most", **PREDICTION)
    style: dict[str, Any] = {"ms": 4, "color": BLUE, "label": "an order"}
    ax.plot(last["told"] - began, last["paid"] - last["told"], ".", **style)
    lost = last[last["paid"].isna()]
    ax.plot(lost["told"] - began, [0] * len(lost), "x", color=VERMILLION, label="a lost order")
    ax.set_ylim(-0.5, None)
    ax.set_xlabel("when the order was told (s)")
    ax.set_ylabel("until it was paid (s)")
    legend(figure, ax)
    return figure
