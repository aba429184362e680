"""Keys and order: events with one key are in order within a topic, and not across two topics.

A staged demonstration: each reader is made to read one topic after the other.
"""

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
from labs.figures import BLUE, ORANGE, SOFT, VERMILLION, canvas, legend, styled
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

    An inversion is a pair of events of the same order that a reader sees the other way round: neighbours within a
    topic, or a payment before the event that it follows from. Columns: `reader`, `pairs` (within or across), `of`
    (such pairs), `inversions`.
    """
    rows = []
    for reader, topics in READERS.items():
        late = orders * steps if topics[0] == PAID else 0
        rows += [
            (reader, WITHIN, 2 * orders * (steps - 1), 0),
            (reader, ACROSS, orders * steps, late),
        ]
    return pd.DataFrame(rows, columns=["reader", "pairs", "of", "inversions"])


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
    """Count each reader's inversions, exactly.

    Policy: every attempt, since no machine inverts what lies in one partition. In doubt are a reader that has not
    read all, and one that did not read the topics one after the other: then nothing was staged.
    """
    attempts = list(each_attempt(samples))
    cases = [
        Case(
            str(reader), [_as_predicted(part[part["reader"] == reader], rows) for part in attempts]
        )
        for reader, rows in prediction.groupby("reader", sort=False)
    ]
    inversions = [
        {"reader": reader, **count_inversions(part)}
        for (_, reader), part in samples.groupby(["attempt", "reader"])
    ]
    return verdict(__name__, JUDGED, cases, every_attempt, details={"inversions": inversions})


def _as_predicted(part: pd.DataFrame, expected: pd.DataFrame) -> Finding:
    inversions = count_inversions(part)
    predicted = expected.set_index("pairs")["inversions"]
    if inversions[WITHIN] > predicted[WITHIN]:
        return failure("within one topic, events came in another order than they were published")
    if part.empty:
        return doubt("not measured")
    if len(part) < part["written"].max():
        return doubt("not all events were read")
    if inversions[ACROSS] != predicted[ACROSS]:
        return doubt("the topics were not read one after the other")
    return SETTLED


def count_inversions(part: pd.DataFrame) -> dict[str, int]:
    """Return how often a reader saw neighbours within a topic inverted, and a payment before its order."""
    both = _places(part)
    return {WITHIN: int(_inverted(part).sum()), ACROSS: int((both[PAID] < both[CREATED]).sum())}


def _inverted(part: pd.DataFrame) -> pd.Series[bool]:
    """Return of each event whether the reader saw it before its predecessor in the same topic."""
    in_order = part.sort_values(["topic", "order", "step"])
    earlier: pd.Series[bool] = in_order.groupby(["topic", "order"])["seen"].diff() < 0
    return earlier.reindex(part.index)


def _places(part: pd.DataFrame) -> pd.DataFrame:
    """Return a row per order and step: the place at which its event of each topic was seen."""
    both = part.pivot_table(index=["order", "step"], columns="topic", values="seen", aggfunc="min")
    return both.reindex(columns=list(TOPICS))


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw for each reader the two events of each step of an order, joined by an arrow from cause to effect.

    An arrow is red when it points backwards, an event is ringed when it came before its predecessor in its topic. The
    latest attempt is drawn.
    """
    last = samples[samples["attempt"] == samples["attempt"].max()]
    counts = {reader: count_inversions(last[last["reader"] == reader]) for reader in READERS}
    (first, early), (second, late) = ((name, each[ACROSS]) for name, each in counts.items())
    inverted = sum(each[WITHIN] for each in counts.values())
    figure, axes = canvas(
        f"R{first[1:]} saw {early} payments before their order, {second} {late}; within a topic "
        f"{inverted} inversions",
        runtime=last["runtime"].iloc[0],
        note=f"staged; {len(last)} events seen",
        rows=len(READERS),
        height=6.4,
    )
    for ax, (reader, expected) in zip(axes, prediction.groupby("reader", sort=False), strict=True):
        _draw_reader(ax, last[last["reader"] == reader])
        texts = [
            f"{counts[str(reader)][row['pairs']]} {row['pairs']} ({row['inversions']} predicted)"
            for row in expected.to_dict("records")
        ]
        ax.set_title(f"{reader}, inversions: {', '.join(texts)}", size=10)
    axes[-1].set_xlabel("place in what the reader saw (count)")
    legend(figure, axes[-1])
    return figure


def _draw_reader(ax: Axes, events: pd.DataFrame) -> None:
    orders = {order: number for number, order in enumerate(events["order"].unique())}
    most = int(events["step"].max()) + 2
    height = events["order"].map(orders) * most + events["step"]
    for topic, colour, marker in ((CREATED, BLUE, "o"), (PAID, ORANGE, "s")):
        of_topic = events["topic"] == topic
        style: dict[str, Any] = {"ms": 4, "color": colour, "label": topic}
        ax.plot(events["seen"][of_topic], height[of_topic], marker, **style)
    inverted = _inverted(events)
    style = {"ms": 9, "mfc": "none", "mec": VERMILLION, "color": VERMILLION}
    ax.plot(events["seen"][inverted], height[inverted], "o", **style)
    pairs = _places(events).dropna().reset_index()
    for row in pairs.to_dict("records"):
        y = orders[row["order"]] * most + row["step"]
        colour = VERMILLION if row[PAID] < row[CREATED] else SOFT
        arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 0.7, "shrinkA": 3, "shrinkB": 3}
        ax.annotate("", (row[PAID], y), (row[CREATED], y), arrowprops=arrow)
    for colour, label in ((SOFT, "forwards"), (VERMILLION, "backwards")):
        ax.plot([], [], color=colour, marker=">", ms=5, linewidth=1.2, label=label)
    ticks = [number * most + (most - 2) / 2 for number in orders.values()]
    ax.set_yticks(ticks, [str(number + 1) for number in orders.values()])
    ax.grid(axis="y", visible=False)
    ax.set_ylabel("order (number)")
