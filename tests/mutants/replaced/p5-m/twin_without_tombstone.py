"""A wrong twin: a cancel that is read first leaves nothing, and the order is charged when its event comes."""


def compensate(connection, event, *, participant):
    order_id = event.data.order_id
    if participant.find(connection, order_id) == "charged":
        charged = store.find_charge(connection, order_id)
        debts.owe(connection, charged, event.cause)
        participant.save(connection, order_id, "owed")
