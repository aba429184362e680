"""A wrong twin: every order that is cancelled is barred, and one that was charged keeps its charge."""

from microservices.kit.events.participant import save_state


def compensate(connection, event, *, participant):
    save_state(connection, event.data.order_id, "barred")
