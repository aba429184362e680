"""A wrong twin: what is not charged is barred, and so is an order that is settled, owed or refunded."""


def compensate(connection, event, *, participant):
    order_id = event.data.order_id
    if participant.find(connection, order_id) == "charged":
        charged = store.find_charge(connection, order_id)
        debts.owe(connection, charged, event.cause)
        participant.save(connection, order_id, "owed")
    else:
        participant.save(connection, order_id, "barred")
