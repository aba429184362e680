"""A wrong twin: it asks for a charge and not for the state, so that a second reason to cancel fails for ever."""


def compensate(connection, event, *, participant):
    order_id = event.data.order_id
    charged = store.find_charge(connection, order_id)
    if charged is not None:
        debts.owe(connection, charged, event.cause)
        participant.save(connection, order_id, "owed")
    else:
        participant.save(connection, order_id, "barred")
