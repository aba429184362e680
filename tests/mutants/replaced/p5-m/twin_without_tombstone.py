"""A wrong twin: a cancel that is read first leaves nothing, and the order is charged when its event comes."""

from microservices.kit.events.participant import save_state


def compensate(connection, event, *, participant):
    order_id = event.data.order_id
    if charging.state_of(connection, order_id) == "charged":
        charged = store.find_charge(connection, order_id)
        debts.owe(connection, charged, event.cause)
        save_state(connection, order_id, "owed")
