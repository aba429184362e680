"""Consumer group."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from environment.waiting import wait_until
from labs.experiments.phase4.events import MOST, envelope_of, follow, write_events
from labs.experiments.phase4.key_order import COMPLETED, CREATED
from labs.experiments.phase4.orders import place
from labs.experiments.replicas import reset_replicas
from labs.figures import BLUE, PREDICTION, SOFT, canvas, legend, styled
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How fast do g members work off a topic of p partitions?"

THEORY = (
    "A partition has one member, a member one message at a time, of s seconds, and mu = 1 /"
    " s. Of p partitions with N / p messages each the busiest of g members has ceil(p / "
    "min(g, p)), so all are worked off after N / (mu p) x ceil(p / min(g, p))."
)

PAYMENTS = "payment-service"
GROUP = "payment-service-group"

PARTITIONS = 6

TOLERANCE = 0.15
"""Of the predicted drain time."""

HOPS = 0.1
"""Seconds for the first message's way to its member, and the last effect's way back."""

SETTLE_SECONDS = 20.0
"""How long a group may take until each partition has its member."""

EXTENDED = 3
"""Attempts after which a drain that is always slower is the group's own."""

JUDGED = (
    "a group works as fast as its busiest member lets it, within 15 %: four members are no faster "
    "than three on six partitions, and a seventh has nothing to do"
)


def predict(
    *, messages: int, seconds: float, members: Sequence[int], partitions: int = PARTITIONS
) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `members`, `working` (members that have a partition), `busiest` (partitions of one
    member, at most), `messages`, `seconds`, `drain` (s).
    """
    rows = []
    for g in members:
        working = min(g, partitions)
        busiest = math.ceil(partitions / working)
        rows.append([g, working, busiest, messages / partitions * seconds * busiest])
    table = pd.DataFrame(rows, columns=["members", "working", "busiest", "drain"])
    return table.assign(messages=messages, seconds=seconds)


def measure(
    env: Environment,
    *,
    messages: int = 18,
    seconds: float = 0.3,
    members: Sequence[int] = (1, 3, 4, 6, 7),
) -> pd.DataFrame:
    """Give as many messages to each partition of order-created, at once, for groups of several
    sizes that are at rest. Leaves payment-service with one slot, these seconds, and the last size.

    One row per message. Columns: `members`, `partition`, `member` (that had the partition), `told`
    and `paid` (unix seconds: when it was written, and its effect; empty when that never came),
    `runtime`, `attempt`.
    """
    reset_replicas(env, PAYMENTS, 1, PAYMENT_SLOTS=1, PAYMENT_SECONDS=seconds)
    order = _an_order(env)
    parts = []
    for g in members:
        env.scale(PAYMENTS, g)
        holders = _at_rest(env, min(g, PARTITIONS))
        told = _tell(env, order, messages)
        most = 2 * messages * seconds + SETTLE_SECONDS
        paid = follow(env, COMPLETED, told["event"], seconds=most).groupby("cause")["time"].min()
        told = told.assign(members=g, paid=told["event"].map(paid))
        parts.append(told.assign(member=told["partition"].map(holders)))
    columns = ["members", "partition", "member", "told", "paid"]
    table = pd.concat(parts, ignore_index=True)[columns]
    return table.assign(runtime=env.runtime, attempt=1)


def _an_order(env: Environment) -> dict[str, Any]:
    """The event of a new order."""
    (placed,) = place(env, 1)
    follow(env, CREATED, [placed], by="order", seconds=SETTLE_SECONDS)
    events = map(envelope_of, env.kafka.read(CREATED, limit=MOST)["value"])
    return next(event for event in events if event and event["data"]["orderId"] == placed)


def _at_rest(env: Environment, working: int) -> dict[int, str]:
    """The member of each partition, once nothing is left to do and so many have one."""

    def settled() -> dict[int, str] | None:
        lag = env.kafka.lag(GROUP)
        lag = lag[lag["topic"] == CREATED]
        rest = lag["lag"].sum() == 0 and lag["member"].notna().all()
        return dict(zip(lag["partition"], lag["member"], strict=True)) if rest else None

    def shared() -> dict[int, str] | None:
        holders = settled()
        return holders if holders and len(set(holders.values())) >= working else None

    return wait_until(shared, timeout=SETTLE_SECONDS, every=0.1) or settled() or {}


def _tell(env: Environment, order: dict[str, Any], messages: int) -> pd.DataFrame:
    """Tell of an order so many times, each partition in its turn: `event`, `partition`, `told`."""
    events = [
        (order | {"eventId": str(uuid.uuid4())}, number % PARTITIONS) for number in range(messages)
    ]
    return write_events(env, CREATED, events).rename(columns={"time": "told"})


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Drain times, from the partitions that the members really had; a member with more than
    predicted fails. A slower drain is in doubt until an attempt settles it: other programs may have
    had the cores. A faster one fails at once."""
    failures, doubts = [], []
    table = summarise(samples, prediction)
    for g, mine in table.groupby("members"):
        name = f"{g} member{'s' * (g != 1)}"
        low = mine["measured"] < (1 - TOLERANCE) * mine["drain"]
        high = mine["measured"] > (1 + TOLERANCE) * mine["drain"] + HOPS
        if mine["missing"].any():
            failures.append(f"{name}: a message was never paid for")
        if low.any():
            failures.append(f"{name}: faster than one message at a time allows")
        if (mine["holds"] != mine["busiest"]).all() or (mine["shared"] != mine["working"]).all():
            failures.append(f"{name}: the partitions were not shared as predicted")
        elif high.all() and len(mine) > EXTENDED:
            failures.append(f"{name}: slower than predicted, again and again")
        elif high.all():
            doubts.append(f"{name}: slower than predicted")
    absent = set(prediction["members"]) - set(table["members"])
    doubts += [f"a group of {g} was not measured" for g in sorted(absent)]
    details = {"drains": table.to_dict("records")}
    return Verdict.of(__name__, JUDGED, failures=failures, doubts=doubts, details=details)


def summarise(samples: pd.DataFrame, prediction: pd.DataFrame) -> pd.DataFrame:
    """The prediction with what each attempt measured: `measured` (s from the first message that was
    told to the last that was paid), `holds` (partitions of the busiest member), `shared` (members
    that had one), `missing` (messages never paid for)."""
    rows = []
    for (_, g), part in samples.groupby(["attempt", "members"]):
        held = part.drop_duplicates("partition")["member"].value_counts()
        rows.append(
            {
                "members": g,
                "measured": float(part["paid"].max() - part["told"].min()),
                "holds": int(held.max()) if len(held) else 0,
                "shared": len(held),
                "missing": int(part["paid"].isna().sum()),
            }
        )
    return pd.DataFrame(rows).merge(prediction, on="members")


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Drain time (s) against the number of members, the prediction dashed."""
    table = summarise(samples, prediction)
    figure, (ax,) = canvas(
        "How fast a group works off six partitions",
        runtime=samples["runtime"].iloc[0],
        note=f"{prediction['messages'].iloc[0]} messages of {prediction['seconds'].iloc[0]:g} s",
        height=4.2,
    )
    best = table.groupby("members", as_index=False)["measured"].min()
    ax.bar(best["members"], best["measured"], 0.56, color=BLUE, label="measured")
    heights = best.set_index("members")["measured"].to_dict()
    for row in prediction.to_dict("records"):
        edges = [row["members"] - 0.38, row["members"] + 0.38]
        ax.plot(edges, [row["drain"]] * 2, **PREDICTION)
        ax.annotate(
            f"{row['working']} with work,\n{row['busiest']} each at most",
            (row["members"], max(row["drain"], heights.get(row["members"], 0))),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            size=8,
            color=SOFT,
        )
    ax.plot([], [], label="predicted", **PREDICTION)
    ax.set_xticks(list(prediction["members"]))
    ax.tick_params(axis="x", length=0)
    ax.grid(axis="x", visible=False)
    ax.set_ylim(0, 1.2 * max(prediction["drain"].max(), best["measured"].max()))
    ax.set_xlabel("members of the group (replicas of payment-service)")
    ax.set_ylabel("all paid for after (s)")
    legend(figure, ax)
    return figure
