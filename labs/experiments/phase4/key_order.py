"""Keys and order: events with one key are in order within a topic, and not across two topics."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd
from confluent_kafka import Consumer, TopicPartition

from environment.waiting import wait_until
from labs.experiments.phase4.events import envelope_of, follow, publish_events, read_envelopes
from labs.experiments.phase4.names import CREATED, PAID, PAYMENTS
from labs.experiments.phase4.orders import place
from labs.figures import BLUE, INK, PREDICTION, SOFT, VERMILLION, canvas, legend, styled
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
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "In which order does a reader receive the events of one order?"

THEORY = (
    "Events with one key are in one partition, and a partition has one order for every reader: no "
    "inversion within a topic. Two topics are two logs, without an order between their events: a "
    "reader that is behind in one of them reads all payments before the first order."
)

TOPICS = (CREATED, PAID)

READERS = {"reader A": TOPICS, "reader B": TOPICS[::-1]}
"""Each reads both topics, and is behind in the second: it comes to that after the first."""

WITHIN, ACROSS = "within one topic", "across two topics"

SECONDS = 15.0
"""How long the payments of the last events, and a reading, may take."""

SILENCE = 3.0
"""Seconds without a message after which a reader has seen all."""

JUDGED = (
    "every reader sees one order's events of a topic in the order they were published, exactly; "
    "between two topics there is no such order"
)


def predict(*, orders: int, steps: int) -> pd.DataFrame:
    """Return `THEORY` as numbers, for `orders` orders with `steps` events each in either topic.

    An inversion is a pair of neighbours, of the same order, that a reader sees the other way round. Columns: `pairs`
    (within or across), `of` (such pairs for each reader), `low` and `high` (inversions).
    """
    within, across = 2 * orders * (steps - 1), orders * steps
    rows = [(WITHIN, within, 0, 0), (ACROSS, across, 0, across)]
    return pd.DataFrame(rows, columns=["pairs", "of", "low", "high"])


def measure(env: Environment, *, orders: int = 8, steps: int = 6) -> pd.DataFrame:
    """Publish the event of each of some orders `steps` times, have it paid for as often, and read both topics.

    The events of an order are published one after the other. Two readers begin where the topics ended before, and
    read them as `READERS` has it. Leaves no work in a payment.

    One row per event and reader, in the order it was seen. Columns: `reader`, `topic`, `partition`, `seen` (from 0),
    `order`, `step` (from 0: its place in what was published), `written` (events that there have to be), `runtime`,
    `attempt`.
    """
    env.configure(PAYMENTS, PAYMENT_SLOTS=0, PAYMENT_SECONDS=0)
    ends = {topic: _ends(env, topic) for topic in TOPICS}
    events = [event["eventId"] for event in _publish_again(env, orders=orders, steps=steps)]
    follow(env, PAID, events, seconds=SECONDS)
    steps_of = {event: number // orders for number, event in enumerate(events)}
    parts = []
    for reader, topics in READERS.items():
        rows = [row for topic in topics for row in _read(env, topic, ends[topic], steps_of)]
        parts.append(pd.DataFrame(rows).assign(reader=reader, seen=range(len(rows))))
    table = pd.concat(parts, ignore_index=True)
    return table.assign(written=2 * len(events), runtime=env.runtime, attempt=1)


def _ends(env: Environment, topic: str) -> dict[int, int]:
    """Return the offset of each partition's next message."""
    table = env.kafka.offsets(topic)
    return {int(n): int(end) for n, end in zip(table["partition"], table["latest"], strict=True)}


def _publish_again(env: Environment, *, orders: int, steps: int) -> list[dict[str, Any]]:
    """Place orders, then publish the event of each again and again, as new events; return all of them in order."""
    placed = place(env, orders)
    follow(env, CREATED, placed, by="order", seconds=SECONDS)
    first = read_envelopes(env, CREATED, placed)
    again = [event | {"eventId": str(uuid.uuid4())} for _ in range(1, steps) for event in first]
    publish_events(env, CREATED, ((event, None) for event in again))
    return [*first, *again]


def _read(
    env: Environment, topic: str, begin: dict[int, int], steps_of: dict[str, int]
) -> Iterator[dict[str, Any]]:
    """Yield what a client of its own sees of a topic, as it comes, of the events that have a step."""
    group = {"group.id": "key-order", "enable.auto.commit": False}
    reader = Consumer({"bootstrap.servers": env.kafka.bootstrap, **group})
    reader.assign([TopicPartition(topic, n, offset) for n, offset in begin.items()])
    left = len(steps_of)
    try:
        while left and (message := wait_until(lambda: reader.poll(0.1), timeout=SILENCE)):
            event = {} if message.error() else envelope_of(message.value())
            step = steps_of.get(event.get("eventId" if topic == CREATED else "causationId", ""))
            if step is not None:
                left -= 1
                order, partition = event["data"]["orderId"], message.partition()
                yield {"topic": topic, "partition": partition, "order": order, "step": step}
    finally:
        reader.close()


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Count each reader's inversions within a topic, exactly.

    Policy: every attempt, since no machine inverts what lies in one partition. In doubt are a reader that has not
    read all, and readers that all happened to see the topics in the same order.
    """
    attempts = list(each_attempt(samples))
    cases = [
        Case(reader, [_in_order(part[part["reader"] == reader]) for part in attempts])
        for reader in READERS
    ]
    cases.append(Case("", [_payment_first(part) for part in attempts]))
    inversions = [
        {"reader": reader, **count_inversions(part)}
        for (_, reader), part in samples.groupby(["attempt", "reader"])
    ]
    return verdict(__name__, JUDGED, cases, every_attempt, details={"inversions": inversions})


def _in_order(part: pd.DataFrame) -> Finding:
    if count_inversions(part)[WITHIN]:
        return failure("within one topic, events came in another order than they were published")
    if len(part) < part["written"].max():
        return doubt("not all events were read")
    return SETTLED if len(part) else doubt("not measured")


def _payment_first(part: pd.DataFrame) -> Finding:
    readers = (count_inversions(rows)[ACROSS] for _, rows in part.groupby("reader"))
    return SETTLED if any(readers) else doubt("no reader saw a payment before its order")


def count_inversions(part: pd.DataFrame) -> dict[str, int]:
    """Return how often a reader saw neighbours within a topic inverted, and a payment before its order."""
    in_order = part.sort_values(["topic", "order", "step"])
    moves = in_order.groupby(["topic", "order"])["seen"].diff()
    both = part.pivot_table(index=["order", "step"], columns="topic", values="seen", aggfunc="min")
    first = both.reindex(columns=list(TOPICS))
    return {WITHIN: int((moves < 0).sum()), ACROSS: int((first[PAID] < first[CREATED]).sum())}


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw for each reader the step of each event against the place at which the reader saw it.

    A line per order and topic, dashed as the topic's order predicts; one that goes down is inverted. The latest
    attempt is drawn.
    """
    last = samples[samples["attempt"] == samples["attempt"].max()]
    figure, axes = canvas(
        "In which order one order's events are seen",
        runtime=last["runtime"].iloc[0],
        note=f"{last['order'].nunique()} orders, {len(last)} events seen",
        rows=len(READERS),
        height=5.4,
    )
    for ax, reader in zip(axes, READERS, strict=True):
        events = last[last["reader"] == reader]
        _draw_topic(ax, events[events["topic"] == CREATED], BLUE, CREATED)
        _draw_topic(ax, events[events["topic"] == PAID], VERMILLION, PAID)
        inversions = count_inversions(events)
        text = ", ".join(f"{kind} {inversions[kind]}" for kind in (WITHIN, ACROSS))
        ax.set_title(f"{reader}: inversions {text}", size=10)
        ax.set_ylabel("step of its order (count)")
    allowed = prediction.set_index("pairs")["high"]
    axes[-1].plot([], [], label="one order, rising: predicted", **PREDICTION)
    axes[-1].set_xlabel(
        f"place in what the reader saw (count); predicted inversions: {WITHIN} {allowed[WITHIN]}, "
        f"{ACROSS} any number up to {allowed[ACROSS]}",
        color=INK,
    )
    legend(figure, axes[-1])
    return figure


def _draw_topic(ax: Axes, events: pd.DataFrame, colour: str, label: str) -> None:
    for _, rows in events.groupby("order"):
        in_place = rows.sort_values("seen")
        dashes = (0, (5, 2.5))
        ax.plot(in_place["seen"], in_place["step"], color=SOFT, linewidth=0.7, linestyle=dashes)
        ax.plot(in_place["seen"], in_place["step"], "o", ms=5, color=colour)
    ax.plot([], [], "o", ms=5, color=colour, label=label)
