"""A wrong twin: the order is owed by its state, and no refund is due."""


def compensate(connection, event, *, participant):
    order_id = event.data.order_id
    state = participant.find(connection, order_id)
    if state == "charged":
        participant.save(connection, order_id, "owed")
    elif state == "none":
        participant.save(connection, order_id, "barred")
