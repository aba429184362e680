"""A wrong twin: it notes the refund as paid, so that the bank is not asked and nothing is published."""


def compensate(connection, event, *, participant):
    order_id = event.data.order_id
    state = participant.find(connection, order_id)
    if state == "charged":
        charged = store.find_charge(connection, order_id)
        debts.owe(connection, charged, event.cause)
        debts.pay(connection, order_id)
        participant.save(connection, order_id, "refunded")
    elif state == "none":
        participant.save(connection, order_id, "barred")
