"""The outbox: events leave in the transaction of the change that they report.

A service that first commits and then sends can die in between: the change is there, and nobody is
ever told. So the event is a row, written by the same transaction; ``relay.py`` sends it afterwards.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Delete,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    Select,
    String,
    Table,
    bindparam,
    select,
)

from microservices.kit import trace
from microservices.kit.database import insert_into
from microservices.kit.events.event_types import Cause, Data, Record, write_event


def outbox_table(metadata: MetaData) -> Table:
    """Declare the table of events that are not sent yet."""
    return Table(
        "outbox",
        metadata,
        # Never used again, also when the table is empty: who deletes a row deletes no later one.
        Column("position", Integer, primary_key=True),
        Column("topic", String(64), nullable=False),
        Column("key", LargeBinary, nullable=False),
        Column("value", LargeBinary, nullable=False),
        Column("traceparent", String(64), nullable=False),
        sqlite_autoincrement=True,
    )


def record_of(data: Data, cause: Cause) -> Record:
    """Return a new event as a record: its key is the order, so that one order's events stay in order."""
    traceparent = trace.next_step(cause.traceparent).encode()
    key, value = data.order_id.encode(), write_event(data, cause)
    return Record(data.topic, key, value, [(trace.HEADER, traceparent)])


def row(data: Data, cause: Cause) -> dict[str, Any]:
    """Return the row of a new event."""
    return {
        "topic": data.topic,
        "key": data.order_id.encode(),
        "value": write_event(data, cause),
        "traceparent": trace.next_step(cause.traceparent),
    }


def add(connection: Connection, outbox: Table, *events: Data, cause: Cause) -> None:
    """Put new events into the outbox, in the caller's transaction."""
    connection.execute(insert_into(outbox), [row(data, cause) for data in events])


def first(connection: Connection, outbox: Table, limit: int) -> list[tuple[int, Record]]:
    """Return the oldest events, in the order of their transactions, each with its position."""
    rows = connection.execute(_first(outbox), {"most": limit}).all()
    return [(found.position, _record(found)) for found in rows]


@cache
def _first(outbox: Table) -> Select[Any]:
    return select(outbox).order_by(outbox.c.position).limit(bindparam("most"))


def _record(found: Row[Any]) -> Record:
    headers = [(trace.HEADER, found.traceparent.encode())]
    return Record(found.topic, found.key, found.value, headers)


def remove(connection: Connection, outbox: Table, positions: Sequence[int]) -> None:
    """Forget events that Kafka has."""
    connection.execute(_remove(outbox), {"last": max(positions)})


@cache
def _remove(outbox: Table) -> Delete:
    return outbox.delete().where(outbox.c.position <= bindparam("last"))
