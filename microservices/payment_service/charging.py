"""What the states of a payment mean: the charge, the debt to the customer, and the events that report them.

Which event leads to which state, a version's table says. The versions differ in the event that asks for a charge.
"""

from uuid import NAMESPACE_OID, uuid5

from sqlalchemy import Connection

from microservices.kit import coin
from microservices.kit.events.event_types import (
    ChargeRequested,
    OrderCreated,
    PaymentCompleted,
    PaymentFailed,
    PaymentRefunded,
)
from microservices.kit.events.participant import Moment, Participant, find_state, states
from microservices.kit.saga import Table
from microservices.payment_service import debts, saga, store
from microservices.payment_service.settings import PaymentSettings
from microservices.payment_service.store import Charge

Asked = OrderCreated | ChargeRequested
"""What asks for a charge."""

PUBLISHES = (PaymentCompleted, PaymentFailed, PaymentRefunded)

REASON = "the card was declined"


def state_of(connection: Connection, order_id: str) -> str:
    """Return the state of an order. A charge of an earlier version has no state of its own: it is `charged`."""
    if state := find_state(connection, order_id):
        return state
    return "charged" if store.find_charge(connection, order_id) else saga.FIRST


def payment_id(order_id: str) -> str:
    """Return the id of an order's payment, which follows from the order's."""
    return str(uuid5(NAMESPACE_OID, f"payment:{order_id}"))


def asked(moment: Moment) -> Asked:
    """Return what asks for the charge of this step."""
    assert isinstance(moment.data, Asked)
    return moment.data


def charge(moment: Moment) -> None:
    """Take the money."""
    order_id, total = moment.order_id, asked(moment).total_cents
    store.insert_once(moment.connection, Charge(payment_id(order_id), order_id, total))


def completed(moment: Moment) -> PaymentCompleted:
    """Return the event of a charge."""
    order = asked(moment)
    return PaymentCompleted.new(
        order_id=order.order_id,
        payment_id=payment_id(order.order_id),
        amount_cents=order.total_cents,
        items=order.items,
    )


def failed(moment: Moment) -> PaymentFailed:
    """Return the event of a payment that was refused."""
    order = asked(moment)
    return PaymentFailed.new(
        order_id=order.order_id,
        payment_id=payment_id(order.order_id),
        amount_cents=order.total_cents,
        reason=REASON,
    )


def refunded(moment: Moment) -> PaymentRefunded:
    """Return the event of a refund."""
    charged = store.find_charge(moment.connection, moment.order_id)
    assert charged is not None
    return PaymentRefunded.new(
        order_id=charged.order_id,
        payment_id=charged.payment_id,
        amount_cents=charged.amount_cents,
    )


def owe(moment: Moment) -> None:
    """Owe the customer what was charged."""
    charged = store.find_charge(moment.connection, moment.order_id)
    assert charged is not None
    assert moment.cause is not None
    debts.owe(moment.connection, charged, moment.cause)


def participant(table: Table) -> Participant:
    """Return payment-service as a participant that follows this table."""
    return Participant(
        table=table,
        find=state_of,
        enter={"charged": charge, "owed": owe},
        build={"PaymentCompleted": completed, "PaymentFailed": failed, "PaymentRefunded": refunded},
    )


def is_refused(order_id: str, settings: PaymentSettings) -> bool:
    """Return whether an order's payment is refused."""
    rate = settings.payment_failure_rate
    return coin.fails(seed=settings.seed, order_id=order_id, step="payment", rate=rate)


def create_tables(connection: Connection) -> None:
    """Create what is missing."""
    store.create_tables(connection)
    states.create(connection, checkfirst=True)
