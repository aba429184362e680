"""What was published: every event of every topic, as a table, whatever published it."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from environment import Environment

COLUMNS = [
    *("event", "type", "by", "at", "order", "correlation", "cause", "trace"),
    *("topic", "partition", "offset", "data"),
]

MOST = 1_000_000
"""Messages of a partition that are read: more than any session publishes."""

DEAD_LETTERS = "-dlq"
"""The end of the name of a topic of dead letters."""

PUBLISHERS = {"Payment": "payment-service", "Inventory": "inventory-service"}
"""The service that publishes an event, by the first word of the event's type; any other one is order-service's."""


def read_published(env: Environment) -> pd.DataFrame:
    """Return every event, in the order of topics, partitions and offsets; other messages are left out.

    An event that was published again byte for byte, as a relay does that was killed, is one row: its first place.

    Columns: `event` (its id), `type`, `by` (the service that publishes this type), `at` (unix seconds, by the
    publisher's clock), `order`, `correlation`, `cause` (the id of the event that it follows from, else None), `trace`
    (the W3C trace id, empty without one), `topic`, `partition`, `offset`, `data`.
    """
    topics = env.kafka.topics()
    holds = (topics["messages"] > 0) & ~topics["topic"].str.endswith(DEAD_LETTERS)
    rows = [
        row
        for topic in topics.loc[holds, "topic"]
        for message in env.kafka.read(topic, limit=MOST).to_dict("records")
        if (row := event_of(message))
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.sort_values(["topic", "partition", "offset"], ignore_index=True).drop_duplicates(
        "event", ignore_index=True
    )


def event_of(message: dict[Any, Any]) -> dict[str, Any]:
    """Return the row of a message of `env.kafka.read`; empty for a message that is no event of its topic."""
    try:
        envelope = json.loads(message["value"] or "")
        data, kind = envelope["data"], str(envelope["eventType"])
        row = {
            "event": str(envelope["eventId"]),
            "type": kind,
            "by": publisher_of(kind),
            "at": datetime.fromisoformat(envelope["timestamp"]).timestamp(),
            "order": str(data["orderId"]),
            "correlation": str(envelope["correlationId"]),
            "cause": envelope["causationId"],
        }
    except (ValueError, TypeError, KeyError):
        return {}
    if topic_of(kind) != message["topic"]:
        return {}
    place = {name: message[name] for name in ("topic", "partition", "offset")}
    return {**row, "trace": _trace_of(message["headers"]), **place, "data": data}


def publisher_of(kind: str) -> str:
    """Return the service that publishes a type of event."""
    return next(
        (service for word, service in PUBLISHERS.items() if kind.startswith(word)), "order-service"
    )


def topic_of(kind: str) -> str:
    """Return the topic of a type of event: its name in kebab-case."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", kind).lower()


def _trace_of(headers: dict[str, str | None] | None) -> str:
    """Return the trace id of a `traceparent`, which is its second part."""
    parts = str((headers or {}).get("traceparent") or "").split("-")
    return parts[1] if len(parts) == 4 else ""


def read_unread(env: Environment) -> pd.DataFrame:
    """Return how far each service has read: the lag of its groups, a row per topic and partition.

    Groups of other programs are left out. Columns: `service`, and those of `env.kafka.lag()`; `committed` is a number,
    0 where a group has not committed.
    """
    lags = env.kafka.lag()
    pattern = rf"^({'|'.join(map(re.escape, env.services))})(?:-\d+)?-group$"
    services = lags["group"].str.extract(pattern, expand=False)
    table = lags.assign(service=services, committed=lags["committed"].fillna(0).astype(int))
    return table[services.notna()].reset_index(drop=True)
