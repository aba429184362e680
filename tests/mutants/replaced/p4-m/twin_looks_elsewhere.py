"""A wrong twin: it looks on a connection of its own, which does not show what this transaction has written."""


def accept(connection, event_id):
    this = select(table).where(table.c.event_id == event_id)
    with connection.engine.connect() as other:
        if other.execute(this).first() is not None:
            return False
    connection.execute(table.insert().values(event_id=event_id))
    return True
