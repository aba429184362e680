"""The story of one order: its events as a tree, from the topics alone, and how far each service has read them.

An event names the event that it follows from. That makes the arrows, never the time: events of one millisecond tie, and
clocks of two machines disagree.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from environment.errors import UnknownName
from labs.published import read_published, read_unread

if TYPE_CHECKING:
    from environment import Environment

COLUMNS = [
    *("event", "type", "by", "at", "cause", "place", "depth"),
    *("order", "correlation", "trace", "topic", "partition", "offset"),
]

ENDS = ("OrderConfirmed", "OrderCancelled")
"""The events by which an order ends."""

NOTIFICATION = "NotificationRequested"
"""A request to a service that takes no part in the saga."""

LINES = ("order-service", "payment-service", "inventory-service")
"""The participants of the saga, each a line of a diagram."""

READ, UNREAD, DEAD_LETTER = "read", "not read yet", "dead letter"
"""What became of an event at a service."""

MARGIN, LANE = 10, 22
"""Characters of a diagram: for the time, and for one service."""


def story(env: Environment, name: str) -> pd.DataFrame:
    """Return the events of an order, or of a correlation id, each below the event that it follows from.

    Columns: `event` (its id), `type`, `by` (the service that publishes this type), `at` (unix seconds, by its
    publisher's clock), `cause` (the id of the event that it follows from, None for a root), `place`
    (topic/partition@offset), `depth` (events between it and its root), `order`, `correlation`, `trace`, `topic`,
    `partition`, `offset`.

    Raises:
        UnknownName: No event has this order or this correlation id.
    """
    published = read_published(env)
    events = published[(published["order"] == name) | (published["correlation"] == name)]
    if events.empty:
        raise UnknownName(
            f"No event has the order id or the correlation id {name!r}. `lab audit` lists the orders; the first event "
            "of an order that was accepted a moment ago may still wait in the outbox of order-service."
        )
    return tree(events)


def tree(events: pd.DataFrame) -> pd.DataFrame:
    """Return events of `labs.published` as a story: each one below its cause, with its depth and its place.

    One whose cause is not among them is a root. So is one of a ring of causes, which nothing publishes by itself.
    """
    rows = {row["event"]: row for row in _dicts(events.sort_values(["at", "topic"], kind="stable"))}
    below: dict[str | None, list[str]] = {}
    for event, row in rows.items():
        below.setdefault(row["cause"] if row["cause"] in rows else None, []).append(event)
    ordered: dict[str, int] = {}
    left = [(event, 0) for event in [*reversed(rows), *reversed(below.get(None, []))]]
    while left:
        event, depth = left.pop()
        if event not in ordered:
            ordered[event] = depth
            left += [(child, depth + 1) for child in reversed(below.get(event, []))]
    table = [
        {**rows[event], "depth": depth, "place": place_of(rows[event])}
        for event, depth in ordered.items()
    ]
    return pd.DataFrame(table, columns=COLUMNS)


def place_of(row: dict[str, Any]) -> str:
    """Return where an event is: topic/partition@offset."""
    return f"{row['topic']}/{row['partition']}@{row['offset']}"


def readings(env: Environment, events: pd.DataFrame) -> pd.DataFrame:
    """Return what became of each event of a story at each service that consumes it.

    It is read from the committed offsets of the groups and from the dead letters: a service commits an offset once the
    event has its effect, or is a dead letter.

    Columns: `event`, `type`, `place`, `service`, `member` (the replica that has the partition now, None without one),
    `behind` (messages of the partition that the service has not read), `state`, `error` (of a dead letter).
    """
    both = events[["event", "type", "place", "topic", "partition", "offset"]].merge(
        read_unread(env), on=["topic", "partition"]
    )
    letters = {
        (
            letter["group"],
            letter["origin"],
            letter["origin_partition"],
            letter["origin_offset"],
        ): letter
        for letter in _dicts(env.kafka.dead_letters())
        if not letter["redriven"]
    }
    rows = []
    for row in _dicts(both):
        letter = letters.get((row["group"], row["topic"], row["partition"], row["offset"]))
        state = DEAD_LETTER if letter else UNREAD if row["offset"] >= row["committed"] else READ
        error = str(letter["error"]) if letter else ""
        rows.append({**row, "behind": row["lag"], "state": state, "error": error})
    columns = ["event", "type", "place", "service", "member", "behind", "state", "error"]
    return pd.DataFrame(rows, columns=columns)


def remaining(events: pd.DataFrame, read: pd.DataFrame) -> list[str]:
    """Return what is still to happen, as sentences: empty when each service has read each event."""
    sentences = []
    for row in _dicts(read[read["state"] != READ]):
        what = f"{row['service']} has not read {row['type']} at {row['place']}"
        if row["state"] == DEAD_LETTER:
            what = f"{row['type']} at {row['place']} is a dead letter of {row['service']}: {row['error']}"
        elif row["member"] is None:
            what += ", and no replica of it has the partition"
        else:
            what += f"; {row['member']} is {row['behind']} messages behind there"
        sentences.append(what)
    if not sentences and not has_ended(events):
        sentences.append(
            "every service has read every event: the order waits for its deadline, or for an event in an outbox"
        )
    return sentences


def has_ended(events: pd.DataFrame) -> bool:
    """Return whether each order of a story has an event that ends it."""
    return set(events["order"]) == set(events.loc[events["type"].isin(ENDS), "order"])


def diagram(events: pd.DataFrame) -> str:
    """Return a story as a space-time diagram in plain text.

    A service is a column, time goes down, `*` is an event and `o` the event that it follows from.
    """
    services = list(dict.fromkeys([*LINES, *events["by"]]))
    by = dict(zip(events["event"], events["by"], strict=True))
    began = events["at"].min()
    heading = " " * MARGIN + "".join(f"{service:<{LANE}}" for service in services)
    lines = [heading.rstrip()]
    for row in _dicts(events.sort_values("at", kind="stable")):
        to = services.index(row["by"])
        start = services.index(by[row["cause"]]) if row["cause"] in by else to
        time = f"{1000 * (row['at'] - began):.0f} ms"
        lines.append(f"{time:>{MARGIN - 2}}  {_lanes(len(services), start, to)}{row['type']}")
    return "\n".join(lines)


def _lanes(count: int, start: int, to: int) -> str:
    """Return one line of a diagram: an arrow from one service to another, beside the lines of the others."""
    cells = ["|".ljust(LANE) for _ in range(count)]
    line = list("".join(cells))
    low, high = sorted((start * LANE, to * LANE))
    line[low:high] = "-" * (high - low)
    if start != to:
        line[start * LANE] = "o"
        line[to * LANE + (1 if to < start else -1)] = "<" if to < start else ">"
    line[to * LANE] = "*"
    return "".join(line)


def trace_of(events: pd.DataFrame, read: pd.DataFrame) -> list[str]:
    """Return a story as the steps of a trace: what is published, and which participant reads it.

    The order is one that the causes allow: an event is read before what follows from it is published.
    """
    rows = {row["event"]: row for row in _dicts(events) if row["type"] != NOTIFICATION}
    readers = read[(read["state"] == READ) & read["service"].isin(LINES)]
    steps: dict[str, None] = {}  # a service may read an event twice: the first time counts
    for row in rows.values():
        if row["cause"] in rows:
            steps[_reads(row["by"], rows[row["cause"]]["type"])] = None
        steps[f"publish {row['type']}"] = None
    for row in _dicts(readers[readers["event"].isin(rows)].sort_values("service", kind="stable")):
        steps.setdefault(_reads(row["service"], row["type"]))
    return list(steps)


def _reads(service: str, kind: str) -> str:
    return f"{service.removesuffix('-service')} reads {kind}"


def table(events: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of a story that a person reads, indented by depth, times in milliseconds since its begin."""
    return pd.DataFrame(
        {
            "event": [
                "  " * depth + kind
                for depth, kind in zip(events["depth"], events["type"], strict=True)
            ],
            "by": events["by"],
            "ms": (1000 * (events["at"] - events["at"].min())).round().astype(int),
            "place": events["place"],
            "id": events["event"],
        }
    )


def _dicts(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    yield from frame.to_dict("records")  # type: ignore[misc]
