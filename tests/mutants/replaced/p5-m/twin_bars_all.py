"""A wrong twin: what is not charged is barred, and so is an order that is settled, owed or refunded."""

from microservices.kit.events.participant import save_state


def compensate(connection, event, *, participant):
    order_id = event.data.order_id
    if charging.state_of(connection, order_id) == "charged":
        charged = store.find_charge(connection, order_id)
        debts.owe(connection, charged, event.cause)
        save_state(connection, order_id, "owed")
    else:
        save_state(connection, order_id, "barred")
