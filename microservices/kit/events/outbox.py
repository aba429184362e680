"""The outbox: an event is written in the transaction of the change that it reports.

A service that commits first and publishes afterwards can be killed in between: the change is there,
and its event is not. So the event is a row, inserted by the same transaction; `relay.py` publishes it.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    func,
    select,
)

from microservices.kit.columns import POSITION
from microservices.kit.database import insert_into
from microservices.kit.events import trace
from microservices.kit.events.envelope import Cause, write_event
from microservices.kit.events.event_types import Data
from microservices.kit.events.record import Record

table = Table(
    "outbox",
    MetaData(),
    # A position is never used again, also when the table is empty: a late delete removes no later row.
    Column("position", POSITION, primary_key=True),
    Column("topic", String(64), nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("traceparent", String(64), nullable=False),
    sqlite_autoincrement=True,
)
"""The events that are not in Kafka yet, in the database of each service that publishes some."""

OLDEST = select(table).order_by(table.c.position).limit(bindparam("most"))
DELETE_ONE = table.delete().where(table.c.position == bindparam("one"))
COUNT = select(func.count()).select_from(table)
DELETE = table.delete().where(table.c.position <= bindparam("last"))


def record_of(data: Data, cause: Cause, event_id: str | None = None) -> Record:
    """Return a new event as a record: its key is the order, so that one order's events stay in order."""
    traceparent = trace.next_step(cause.traceparent).encode()
    key, value = data.order_id.encode(), write_event(data, cause, event_id)
    return Record(data.topic, key, value, [(trace.HEADER, traceparent)])


def row(record: Record) -> dict[str, Any]:
    """Return the row of a new event."""
    ((_, traceparent),) = record.headers
    assert traceparent is not None
    return {
        "topic": record.topic,
        "key": record.key,
        "value": record.value,
        "traceparent": traceparent.decode(),
    }


def add(connection: Connection, *events: Data, cause: Cause, event_id: str | None = None) -> None:
    """Insert new events, in the caller's transaction; `event_id` is for one that may be published again."""
    rows = [row(record_of(data, cause, event_id)) for data in events]
    connection.execute(insert_into(table), rows)


def first(connection: Connection, limit: int) -> list[tuple[int, Record]]:
    """Return the oldest events, in the order of their transactions, each with its position."""
    rows = connection.execute(OLDEST, {"most": limit}).all()
    return [
        (
            row.position,
            Record(row.topic, row.key, row.value, [(trace.HEADER, row.traceparent.encode())]),
        )
        for row in rows
    ]


def remove(connection: Connection, positions: Sequence[int]) -> None:
    """Delete events that Kafka has acknowledged."""
    connection.execute(DELETE, {"last": max(positions)})


def remove_each(connection: Connection, positions: Sequence[int]) -> None:
    """Delete events one by one: those between them stay."""
    connection.execute(DELETE_ONE, [{"one": position} for position in positions])


def count(connection: Connection) -> int:
    """Return the number of events that are not in Kafka yet."""
    return connection.execute(COUNT).scalar_one()
