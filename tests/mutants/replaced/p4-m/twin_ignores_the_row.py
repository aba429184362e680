"""A wrong twin: the database ignores the second row, and so does the answer."""


def accept(connection, event_id):
    connection.execute(table.insert().prefix_with("OR IGNORE").values(event_id=event_id))
    return True
