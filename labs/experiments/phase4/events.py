"""Events: what a topic holds, as a table that experiments count and join."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pandas as pd
from confluent_kafka import Message, Producer

from environment.waiting import wait_until

if TYPE_CHECKING:
    from environment import Environment

COLUMNS = ["topic", "partition", "offset", "time", "event", "cause", "order", "user"]

MOST = 100_000
"""Messages of a topic that are read: more than any experiment publishes."""

EVERY = 0.25
"""Seconds between two readings while effects are awaited."""

FLUSH_SECONDS = 10.0

ANY = -1
"""In place of a partition: the one that the key decides."""


def read_events(env: Environment, topic: str) -> pd.DataFrame:
    """Return every event of a topic in the order of its times; other messages are left out.

    Columns: `topic`, `partition`, `offset`, `time` (unix seconds, when Kafka received it), `event` and `cause`
    (ids: its own, and that of the event it follows from), `order`, `user`.
    """
    messages = env.kafka.read(topic, limit=MOST).to_dict("records")
    rows = [(message, envelope_of(message["value"])) for message in messages]
    return pd.DataFrame(
        [
            {
                **{name: message[name] for name in ("topic", "partition", "offset")},
                "time": message["time"].timestamp(),
                "event": envelope["eventId"],
                "cause": envelope["causationId"],
                "order": envelope["data"]["orderId"],
                "user": envelope["data"].get("userId"),
            }
            for message, envelope in rows
            if envelope
        ],
        columns=COLUMNS,
    )


def read_envelopes(env: Environment, topic: str, orders: Iterable[str]) -> list[dict[str, Any]]:
    """Return the events of these orders as they were published, whole."""
    wanted = set(orders)
    envelopes = map(envelope_of, env.kafka.read(topic, limit=MOST)["value"])
    return [
        envelope for envelope in envelopes if envelope and envelope["data"]["orderId"] in wanted
    ]


def envelope_of(value: str | bytes | None) -> dict[str, Any]:
    """Return an event's value as it was published; empty for a message that is no event."""
    try:
        content = json.loads(value or "")
    except ValueError:
        return {}
    known = isinstance(content, dict) and {"eventId", "causationId", "data"} <= set(content)
    return content if known and "orderId" in content["data"] else {}


def publish_events(
    env: Environment, topic: str, events: Iterable[tuple[dict[str, Any], int | None]]
) -> pd.DataFrame:
    """Publish events, all at once and in their order, keyed by their order ids.

    `events` are envelopes, each with its partition, or None for the one that the key chooses.
    Columns: `event`, `partition`, `time` (unix seconds).
    """
    rows = []
    producer = Producer({"bootstrap.servers": env.kafka.bootstrap, "acks": "all"})

    def acknowledged(error: object, message: Message) -> None:
        if error is None:
            event = envelope_of(message.value())["eventId"]
            time = message.timestamp()[1] / 1000
            rows.append({"event": event, "partition": message.partition(), "time": time})

    for event, partition in events:
        place = ANY if partition is None else partition
        key = event["data"]["orderId"]
        producer.produce(topic, json.dumps(event), key, place, on_delivery=acknowledged)
    producer.flush(FLUSH_SECONDS)
    return pd.DataFrame(rows, columns=["event", "partition", "time"])


def follow(
    env: Environment, topic: str, values: Iterable[str], *, by: str = "cause", seconds: float
) -> pd.DataFrame:
    """Return the events of `topic` whose column `by` is among `values`, once each of these has one.

    After `seconds` it returns those that have come by then; the caller counts which are missing.
    """
    wanted = set(values)
    events = pd.DataFrame(columns=COLUMNS)

    def all_there() -> bool:
        nonlocal events
        every = read_events(env, topic)
        events = every[every[by].isin(wanted)].reset_index(drop=True)
        return wanted <= set(events[by])

    wait_until(all_there, timeout=seconds, every=EVERY)
    return events
