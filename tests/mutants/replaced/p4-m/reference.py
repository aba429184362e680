"""The reference answer: the row of an event is written in the transaction of its effect."""


def accept(connection, event_id):
    """Insert an event in the transaction of its effect; false when it has had its effect before."""
    this = select(table).where(table.c.event_id == event_id)
    if connection.execute(this).first() is not None:
        return False
    connection.execute(table.insert().values(event_id=event_id))
    return True
