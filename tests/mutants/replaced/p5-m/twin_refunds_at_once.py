"""A wrong twin: it notes the refund as paid, so that the bank is not asked and nothing is published."""

from microservices.kit.events.participant import save_state


def compensate(connection, event, *, participant):
    order_id = event.data.order_id
    state = charging.state_of(connection, order_id)
    if state == "charged":
        charged = store.find_charge(connection, order_id)
        debts.owe(connection, charged, event.cause)
        debts.pay(connection, order_id)
        save_state(connection, order_id, "refunded")
    elif state == "none":
        save_state(connection, order_id, "barred")
