"""A wrong twin: the second delivery breaks the primary key, is tried again, and becomes a dead letter."""


def accept(connection, event_id):
    connection.execute(table.insert().values(event_id=event_id))
    return True
