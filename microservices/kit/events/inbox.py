"""The inbox: an event that is delivered twice has one effect.

The id of an event is a row, written by the transaction of its effect: both are there, or neither.
"""

from functools import cache
from typing import Any

from sqlalchemy import Column, Connection, MetaData, Select, String, Table, bindparam, select

from microservices.kit.database import insert_into


def inbox_table(metadata: MetaData) -> Table:
    """Declare the table of events whose effect is durable."""
    return Table("inbox", metadata, Column("event_id", String(64), primary_key=True))


def knows(connection: Connection, inbox: Table, event_id: str) -> bool:
    """Tell whether an event had its effect."""
    return connection.execute(_known(inbox), {"event_id": event_id}).first() is not None


@cache
def _known(inbox: Table) -> Select[Any]:
    return select(inbox).where(inbox.c.event_id == bindparam("event_id"))


def accept(connection: Connection, inbox: Table, event_id: str) -> bool:
    """Note an event in the transaction of its effect; false when it had its effect before."""
    if knows(connection, inbox, event_id):
        return False
    connection.execute(insert_into(inbox), {"event_id": event_id})
    return True
