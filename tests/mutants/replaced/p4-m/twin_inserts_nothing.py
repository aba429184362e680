"""A wrong twin: it looks, and inserts nothing."""


def accept(connection, event_id):
    this = select(table).where(table.c.event_id == event_id)
    return connection.execute(this).first() is None
