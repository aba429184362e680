"""A wrong twin: every order that is cancelled is barred, and one that was charged keeps its charge."""


def compensate(connection, event, *, participant):
    participant.save(connection, event.data.order_id, "barred")
