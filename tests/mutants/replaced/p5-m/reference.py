"""The reference answer: what is charged is owed, and what is not met yet is barred."""


def compensate(connection, event, *, participant):
    """Undo the payment of an order that is cancelled, whatever was done of it so far."""
    order_id = event.data.order_id
    state = participant.find(connection, order_id)
    if state == "charged":
        charged = store.find_charge(connection, order_id)
        debts.owe(connection, charged, event.cause)
        participant.save(connection, order_id, "owed")
    elif state == "none":
        participant.save(connection, order_id, "barred")
