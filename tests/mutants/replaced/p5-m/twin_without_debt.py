"""A wrong twin: the order is owed by its state, and no refund is due."""

from microservices.kit.events.participant import save_state


def compensate(connection, event, *, participant):
    order_id = event.data.order_id
    state = charging.state_of(connection, order_id)
    if state == "charged":
        save_state(connection, order_id, "owed")
    elif state == "none":
        save_state(connection, order_id, "barred")
