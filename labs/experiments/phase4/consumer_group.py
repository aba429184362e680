"""Consumer group: how fast some members process the messages of a topic."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd

from environment.waiting import wait_until
from labs.experiments.idle import IdleMeter
from labs.experiments.phase4.events import follow, publish_events, read_envelopes
from labs.experiments.phase4.names import CREATED, PAID, PAYMENTS, PAYMENTS_GROUP
from labs.experiments.phase4.orders import place
from labs.experiments.replicas import reset_replicas
from labs.figures import BLUE, PREDICTION, SOFT, canvas, legend, styled
from labs.guessing import Guess, within_factor
from labs.judging import SETTLED, Case, Finding, doubt, failure, plural, seen_twice, verdict
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How fast do g members of a group process a topic of p partitions?"

THEORY = (
    "A partition has one member, and a member processes one message at a time, each in s seconds: "
    "mu = 1 / s. Of p partitions with N / p messages each, the busiest of g members has "
    "ceil(p / min(g, p)), so all messages are processed after N / (mu p) x ceil(p / min(g, p)): one "
    "more member helps only where that number gets smaller."
)

PARTITIONS = 6

TOLERANCE = 0.15
"""Of the predicted drain time."""

ALIKE = 0.85
"""Of a drain time: a larger group that takes as much of a smaller one's is no faster."""

HOPS = 0.1
"""Seconds for the first message's way to its member, and the last effect's way back."""

SETTLE_SECONDS = 20.0
"""How long a group may take until each partition has its member."""

IDLE = 0.5
"""Idle cores from which on the group itself causes a slow drain: its members wait, and hardly compute."""

JUDGED = (
    "a group works as fast as its busiest member lets it, within 15 %: four members are no faster "
    "than three on six partitions, and a seventh has nothing to do"
)

GUESSES = {
    "times": Guess(
        "A topic has six partitions. How many times as fast as three members of a group do four "
        "members process the same messages?",
        "times",
        measured=lambda samples: _drain_of(samples, 3) / _drain_of(samples, 4),
        right=within_factor(1.2),
        reference=1,
        theory=lambda prediction: _predicted_drain(prediction, 3) / _predicted_drain(prediction, 4),
    ),
}


def predict(
    *, messages: int, seconds: float, members: Sequence[int], partitions: int = PARTITIONS
) -> pd.DataFrame:
    """Return `THEORY` as numbers, for `messages` messages of `seconds` each, and groups of these sizes.

    Columns: `members`, `working` (members that have a partition), `busiest` (partitions of one member, at most),
    `messages`, `seconds`, `drain` (s).
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
    """Publish the same batch at once for groups of several sizes that are at rest, as much to each partition.

    The largest group comes first, so that its members start together. Leaves payment-service with one slot, these
    seconds, and the smallest size.

    One row per message. Columns: `members`, `partition`, `member` (that had the partition), `published` and `paid`
    (unix seconds: of the message, and of its effect; empty when that never came), `idle` (cores that no program used
    meanwhile), `runtime`, `attempt`.
    """
    reset_replicas(env, PAYMENTS, 1, PAYMENT_SLOTS=1, PAYMENT_SECONDS=seconds)
    order = _event_of_new_order(env)
    parts = []
    for g in sorted(members, reverse=True):
        env.scale(PAYMENTS, g)
        holders = _at_rest(env, min(g, PARTITIONS))
        meter = IdleMeter()
        batch = _publish(env, order, messages)
        limit = 2 * messages * seconds + SETTLE_SECONDS
        paid = follow(env, PAID, batch["event"], seconds=limit).groupby("cause")["time"].min()
        batch = batch.assign(members=g, paid=batch["event"].map(paid), idle=meter.cores())
        parts.append(batch.assign(member=batch["partition"].map(holders)))
    columns = ["members", "partition", "member", "published", "paid", "idle"]
    table = pd.concat(parts, ignore_index=True)[columns]
    return table.assign(runtime=env.runtime, attempt=1)


def _event_of_new_order(env: Environment) -> dict[str, Any]:
    placed = place(env, 1)
    follow(env, CREATED, placed, by="order", seconds=SETTLE_SECONDS)
    return read_envelopes(env, CREATED, placed)[0]


def _at_rest(env: Environment, working: int) -> dict[int, str]:
    """Return the member of each partition, once no message is left and so many members have one.

    A replica that was removed has its partitions until the group gives them to others.
    """
    running = {replica.id for replica in env[PAYMENTS].replicas}

    def settled() -> dict[int, str] | None:
        lag = env.kafka.lag(PAYMENTS_GROUP)
        lag = lag[lag["topic"] == CREATED]
        rest = lag["lag"].sum() == 0 and lag["member"].notna().all()
        return dict(zip(lag["partition"], lag["member"], strict=True)) if rest else None

    def shared() -> dict[int, str] | None:
        holders = settled()
        members = set(holders.values()) if holders else set()
        return holders if members <= running and len(members) == working else None

    return wait_until(shared, timeout=SETTLE_SECONDS, every=0.1) or settled() or {}


def _publish(env: Environment, order: dict[str, Any], messages: int) -> pd.DataFrame:
    """Publish an event so many times, to each partition in its turn: `event`, `partition`, `published`."""
    events = [
        (order | {"eventId": str(uuid.uuid4())}, number % PARTITIONS) for number in range(messages)
    ]
    return publish_events(env, CREATED, events).rename(columns={"time": "published"})


def _drain_of(samples: pd.DataFrame, members: int) -> float:
    """Return the fewest seconds in which so many members processed a batch."""
    attempts = samples[samples["members"] == members].groupby("attempt")
    return float((attempts["paid"].max() - attempts["published"].min()).min())


def _predicted_drain(prediction: pd.DataFrame, members: int) -> float:
    return float(prediction.set_index("members")["drain"][members])


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare drain times, by the partitions that the members really had.

    Policy: seen twice, since a busy machine makes a drain slower and never faster. A slow drain is in doubt anyway
    where no core was idle; a fast one, a lost message and other shares of the partitions fail by themselves.
    """
    drains = drains_of(samples, prediction)
    cases = [
        Case(
            plural(row["members"], "member"),
            [_as_fast(drain) for drain in drains if drain["members"] == row["members"]],
        )
        for row in prediction.to_dict("records")
    ]
    return verdict(__name__, JUDGED, cases, seen_twice, details={"drains": drains})


def _as_fast(drain: Mapping[str, Any]) -> Finding:
    if drain["missing"]:
        return failure("a message was never paid for", certain=True)
    if drain["measured"] < (1 - TOLERANCE) * drain["drain"]:
        return failure("faster than one message at a time allows", certain=True)
    if drain["holds"] != drain["busiest"] or drain["shared"] != drain["working"]:
        return failure("the partitions were not shared as predicted", certain=True)
    if drain["measured"] > (1 + TOLERANCE) * drain["drain"] + HOPS:
        if drain["idle"] < IDLE:
            return doubt("slower than predicted, on busy cores")
        return failure("slower than predicted")
    return SETTLED


def drains_of(samples: pd.DataFrame, prediction: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the predicted rows with what each attempt measured.

    That is `measured` (s from the first message to the last effect), `holds` (partitions of the busiest member),
    `shared` (members that had one), `missing` (messages never paid for), `idle` (cores).
    """
    rows: list[dict[str, Any]] = []
    for expected in prediction.to_dict("records"):
        group = samples[samples["members"] == expected["members"]]
        for _, part in group.groupby("attempt"):
            held = part.drop_duplicates("partition")["member"].value_counts()
            measured = {
                "measured": float(part["paid"].max() - part["published"].min()),
                "holds": int(held.max()) if len(held) else 0,
                "shared": len(held),
                "missing": int(part["paid"].isna().sum()),
                "idle": float(part["idle"].iloc[0]),
            }
            rows.append({str(name): value for name, value in expected.items()} | measured)
    return rows


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the drain time (s) of each attempt against the number of members, the prediction dashed.

    The bar is the fastest attempt, which alone settles a case; the others are points.
    """
    drains = pd.DataFrame(drains_of(samples, prediction))
    best, slowest = (drains.groupby("members")["measured"].agg(f) for f in ("min", "max"))
    figure, (ax,) = canvas(
        _finding_of(best),
        runtime=samples["runtime"].iloc[0],
        note=f"{prediction['messages'].iloc[0]} messages of {prediction['seconds'].iloc[0]:g} s",
        height=4.2,
    )
    ax.bar(best.index, best, 0.56, color=BLUE, label="measured")
    others = drains[drains["measured"] > drains["members"].map(best)]
    ax.plot(others["members"], others["measured"], "o", ms=5, color=BLUE)
    for row in prediction.to_dict("records"):
        edges = [row["members"] - 0.38, row["members"] + 0.38]
        ax.plot(edges, [row["drain"]] * 2, **PREDICTION)
        ax.annotate(
            f"{row['working']} with work,\n{row['busiest']} each at most",
            (row["members"], max(row["drain"], slowest.get(row["members"], 0))),
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
    ax.set_ylim(0, 1.2 * max(prediction["drain"].max(), drains["measured"].max()))
    ax.set_xlabel("members of the group (replicas of payment-service)")
    ax.set_ylabel("all paid for after (s)")
    legend(figure, ax)
    return figure


def _finding_of(best: pd.Series[float]) -> str:
    """Return as a title how much faster the largest group is, and which members made no difference."""
    sizes = [int(size) for size in best.index]
    times = f"{best.iloc[0] / best.iloc[-1]:.1f} times as fast as {sizes[0]}"
    idle = [f"{b} no faster than {a}" for a, b in pairwise(sizes) if best[b] > ALIKE * best[a]]
    return "; ".join([f"{sizes[-1]} members were {times}", *idle])
