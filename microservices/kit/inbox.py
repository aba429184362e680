"""The inbox: an event that is delivered twice has one effect.

The id of an event is a row, written by the transaction of its effect: both are there, or neither.
"""

from sqlalchemy import Column, Connection, MetaData, String, Table, select


def inbox_table(metadata: MetaData) -> Table:
    """Declare the table of events whose effect is durable."""
    return Table("inbox", metadata, Column("event_id", String(64), primary_key=True))


def knows(connection: Connection, inbox: Table, event_id: str) -> bool:
    """Tell whether an event had its effect."""
    return connection.execute(select(inbox).where(inbox.c.event_id == event_id)).first() is not None


def accept(connection: Connection, inbox: Table, event_id: str) -> bool:
    """Note an event in the transaction of its effect; false when it had its effect before."""
    if knows(connection, inbox, event_id):
        return False
    connection.execute(inbox.insert(), {"event_id": event_id})
    return True
