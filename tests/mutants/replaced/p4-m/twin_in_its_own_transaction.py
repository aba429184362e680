"""A wrong twin: its row is committed although the effect fails, so that the next attempt does nothing."""


def accept(connection, event_id):
    with connection.engine.begin() as own:
        this = select(table).where(table.c.event_id == event_id)
        if own.execute(this).first() is not None:
            return False
        own.execute(table.insert().values(event_id=event_id))
    return True
