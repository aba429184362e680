"""A wrong twin: it compares an event with the last one alone, so that two events in turn pass again and again."""


def accept(connection, event_id):
    known = connection.execute(select(table)).scalars().all()
    if event_id in known:
        return False
    connection.execute(table.delete())
    connection.execute(table.insert().values(event_id=event_id))
    return True
