"""Keys and order."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd
from confluent_kafka import Consumer, TopicPartition

from environment.waiting import wait_until
from labs.experiments.phase4.events import MOST, envelope_of, follow, write_events
from labs.experiments.phase4.orders import place
from labs.figures import BLUE, INK, PREDICTION, SOFT, VERMILLION, canvas, legend, styled
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "In which order does a reader see what happened to one order?"

THEORY = (
    "What has one key lies in one partition, and a partition has one order for every "
    "reader: no inversion within a topic. Two topics are two logs, and nothing orders their"
    " events: a reader that is behind in one of them sees all payments before the first "
    "order."
)

CREATED, COMPLETED = "order-created", "payment-completed"
TOPICS = (CREATED, COMPLETED)

READERS = {"reader A": TOPICS, "reader B": TOPICS[::-1]}
"""Each reads both topics, and is behind in the second: it comes to that after the first."""

WITHIN, ACROSS = "within one topic", "across two topics"

SECONDS = 15.0
"""How long the payments of the last events, and a reading, may take."""

SILENCE = 3.0
"""Seconds without a message after which a reader has seen all."""

JUDGED = (
    "every reader sees one order's events of a topic in the order they were written, exactly; "
    "between two topics there is no such order"
)


def predict(*, orders: int, steps: int) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    An inversion is a pair of neighbours, of the same order, that is seen the other way round.
    Columns: `pairs` (within or across), `of` (such pairs for each reader), `low` and `high`
    (inversions).
    """
    within, across = 2 * orders * (steps - 1), orders * steps
    rows = [(WITHIN, within, 0, 0), (ACROSS, across, 0, across)]
    return pd.DataFrame(rows, columns=["pairs", "of", "low", "high"])


def measure(env: Environment, *, orders: int = 8, steps: int = 6) -> pd.DataFrame:
    """Each of some orders is told of `steps` times, one after the other, and is paid for as often.
    Two readers then read both topics from where they were before, each as `READERS` has it.

    One row per event and reader, in the order it was seen. Columns: `reader`, `topic`, `partition`,
    `seen` (from 0), `order`, `step` (from 0: its place in what was written), `written` (events that
    there have to be), `runtime`, `attempt`.
    """
    ends = {topic: _ends(env, topic) for topic in TOPICS}
    told = {event["eventId"]: event for event in _tell_again(env, orders=orders, steps=steps)}
    follow(env, COMPLETED, told, seconds=SECONDS)
    numbers = {event: number // orders for number, event in enumerate(told)}
    parts = []
    for reader, topics in READERS.items():
        rows = [row for topic in topics for row in _read(env, topic, ends[topic], numbers)]
        parts.append(pd.DataFrame(rows).assign(reader=reader, seen=range(len(rows))))
    table = pd.concat(parts, ignore_index=True)
    return table.assign(written=2 * len(told), runtime=env.runtime, attempt=1)


def _ends(env: Environment, topic: str) -> dict[int, int]:
    """The offset of each partition's next message."""
    table = env.kafka.offsets(topic)
    return {int(n): int(end) for n, end in zip(table["partition"], table["latest"], strict=True)}


def _tell_again(env: Environment, *, orders: int, steps: int) -> list[dict[str, Any]]:
    """Place orders; then tell of each again and again, as new events. All of them, as written."""
    placed = place(env, orders)
    follow(env, CREATED, placed, by="order", seconds=SECONDS)
    known = map(envelope_of, env.kafka.read(CREATED, limit=MOST)["value"])
    first = [event for event in known if event and event["data"]["orderId"] in placed]
    again = [event | {"eventId": str(uuid.uuid4())} for _ in range(1, steps) for event in first]
    write_events(env, CREATED, ((event, None) for event in again))
    return [*first, *again]


def _read(
    env: Environment, topic: str, begin: dict[int, int], numbers: dict[str, int]
) -> Iterator[dict[str, Any]]:
    """What a client of its own sees of a topic, as it comes, of the events with a number."""
    group = {"group.id": "key-order", "enable.auto.commit": False}
    reader = Consumer({"bootstrap.servers": env.kafka.bootstrap, **group})
    reader.assign([TopicPartition(topic, n, offset) for n, offset in begin.items()])
    left = len(numbers)
    try:
        while left and (message := wait_until(lambda: reader.poll(0.1), timeout=SILENCE)):
            event = {} if message.error() else envelope_of(message.value())
            step = numbers.get(event.get("eventId" if topic == CREATED else "causationId", ""))
            if step is not None:
                left -= 1
                order = event["data"]["orderId"]
                yield {
                    "topic": topic,
                    "partition": message.partition(),
                    "order": order,
                    "step": step,
                }
    finally:
        reader.close()


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Exact, per reader. Inconclusive when not all was read, or every reader happened to see the
    topics in the same order."""
    failures, doubts, found = [], [], []
    for (_, reader), part in samples.groupby(["attempt", "reader"]):
        inverted = count_inversions(part)
        found.append({"reader": reader, **inverted})
        if inverted[WITHIN]:
            failures.append(
                f"{reader}: within one topic, events came in another order than written"
            )
        if len(part) < part["written"].iloc[0]:
            doubts.append(f"{reader}: not all events were read")
    if not any(row[ACROSS] for row in found):
        doubts.append("no reader saw a payment before its order")
    return Verdict.of(
        __name__,
        JUDGED,
        failures=dict.fromkeys(failures),
        doubts=dict.fromkeys(doubts),
        details={"inversions": found},
    )


def count_inversions(part: pd.DataFrame) -> dict[str, int]:
    """What one reader saw: neighbours within a topic that came the other way round, and payments
    that came before what they pay for."""
    seen = part.sort_values(["topic", "order", "step"])
    steps = seen.groupby(["topic", "order"])["seen"].diff()
    both = part.pivot_table(index=["order", "step"], columns="topic", values="seen", aggfunc="min")
    early = both.reindex(columns=list(TOPICS))
    return {
        WITHIN: int((steps < 0).sum()),
        ACROSS: int((early[COMPLETED] < early[CREATED]).sum()),
    }


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """For each reader, when it saw each event against the place where that was written: a line per
    order and topic, dashed as the topic's order predicts; those that go back are inverted."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    orders = last["order"].nunique()
    figure, axes = canvas(
        "In which order one order's events are seen",
        runtime=last["runtime"].iloc[0],
        note=f"{orders} orders",
        rows=len(READERS),
        height=5.4,
    )
    for ax, reader in zip(axes, READERS, strict=True):
        mine = last[last["reader"] == reader]
        _draw_topic(ax, mine[mine["topic"] == CREATED], BLUE, CREATED)
        _draw_topic(ax, mine[mine["topic"] == COMPLETED], VERMILLION, COMPLETED)
        found = count_inversions(mine)
        words = ", ".join(f"{kind} {found[kind]}" for kind in (WITHIN, ACROSS))
        ax.set_title(f"{reader}: inversions {words}", size=10)
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


def _draw_topic(ax: Axes, mine: pd.DataFrame, colour: str, label: str) -> None:
    for _, events in mine.groupby("order"):
        seen = events.sort_values("seen")
        ax.plot(seen["seen"], seen["step"], color=SOFT, linewidth=0.7, linestyle=(0, (5, 2.5)))
        ax.plot(seen["seen"], seen["step"], "o", ms=5, color=colour)
    ax.plot([], [], "o", ms=5, color=colour, label=label)
