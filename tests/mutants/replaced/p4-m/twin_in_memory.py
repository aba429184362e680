"""A wrong twin: a set outlives a transaction that is rolled back, and no restart of the process."""

accepted = set()


def accept(connection, event_id):
    if event_id in accepted:
        return False
    accepted.add(event_id)
    return True
