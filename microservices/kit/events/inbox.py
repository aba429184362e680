"""The inbox: an event that is delivered twice has one effect.

The id of an event is a row, written in the transaction of its effect: both are there, or neither.
"""

from sqlalchemy import Column, Connection, MetaData, String, Table, bindparam, select

from microservices.kit.database import insert_into

table = Table("inbox", MetaData(), Column("event_id", String(64), primary_key=True))
"""The events whose effect is durable, in the database of each service that consumes some."""

SELECT = select(table).where(table.c.event_id == bindparam("event_id"))


def contains(connection: Connection, event_id: str) -> bool:
    """Return whether an event has had its effect."""
    return connection.execute(SELECT, {"event_id": event_id}).first() is not None


def accept(connection: Connection, event_id: str) -> bool:
    """Insert an event in the transaction of its effect; false when it has had its effect before."""
    if contains(connection, event_id):
        return False
    connection.execute(insert_into(table), {"event_id": event_id})
    return True
