"""payment-service 3: charges an order, refuses to, or refunds it, as the saga's table says."""

from functools import partial
from uuid import NAMESPACE_OID, uuid5

from fastapi import APIRouter, FastAPI, Request, Response
from sqlalchemy import Connection

from microservices.kit import coin
from microservices.kit.concurrency_limit import ConcurrencyLimit
from microservices.kit.database import Database
from microservices.kit.events.app import create_event_app
from microservices.kit.events.consumer_config import ConsumerConfig, Handler
from microservices.kit.events.envelope import Event
from microservices.kit.events.event_types import (
    InventoryFailed,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    PaymentCompleted,
    PaymentFailed,
    PaymentRefunded,
)
from microservices.kit.events.gauges import GaugeOf
from microservices.kit.events.participant import Moment, Participant, find_state, states
from microservices.kit.events.periodic import Task
from microservices.kit.events.saga_api import saga_router
from microservices.kit.http.problem import Problem, documented
from microservices.kit.http.strict_json import StrictRoute, json_response
from microservices.kit.wire import encode
from microservices.payment_service import api, debts, pay, refunds, saga, store
from microservices.payment_service.model import NewPayment, Payment
from microservices.payment_service.settings import PaymentSettings
from microservices.payment_service.store import Charge

CONSUMES = (OrderCreated, InventoryFailed, OrderConfirmed, OrderCancelled)
PUBLISHES = (PaymentCompleted, PaymentFailed, PaymentRefunded)
NEVER_GIVEN_UP = (OrderCancelled,)
"""Nothing else would repair the money or the shelf: these are tried until they succeed."""

REASON = "the card was declined"
REFUND_SECONDS = 0.1
"""How often the service looks for refunds that are due."""

router = APIRouter(tags=["payments"], route_class=StrictRoute)


def state_of(connection: Connection, order_id: str) -> str:
    """Return the state of an order. A charge of an earlier version has no state of its own: it is `charged`."""
    if state := find_state(connection, order_id):
        return state
    return "charged" if store.find_charge(connection, order_id) else saga.FIRST


def payment_id(order_id: str) -> str:
    """Return the id of an order's payment, which follows from the order's."""
    return str(uuid5(NAMESPACE_OID, f"payment:{order_id}"))


def ordered(moment: Moment) -> OrderCreated:
    """Return the order that this step follows."""
    assert isinstance(moment.data, OrderCreated)
    return moment.data


def charge(moment: Moment) -> None:
    """Take the money."""
    order_id, total = moment.order_id, ordered(moment).total_cents
    store.insert_once(moment.connection, Charge(payment_id(order_id), order_id, total))


def completed(moment: Moment) -> PaymentCompleted:
    """Return the event of a charge."""
    order = ordered(moment)
    return PaymentCompleted.new(
        order_id=order.order_id,
        payment_id=payment_id(order.order_id),
        amount_cents=order.total_cents,
        items=order.items,
    )


def failed(moment: Moment) -> PaymentFailed:
    """Return the event of a payment that was refused."""
    order = ordered(moment)
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


PARTICIPANT = Participant(
    table=saga.TABLE,
    find=state_of,
    enter={"charged": charge, "owed": owe},
    build={"PaymentCompleted": completed, "PaymentFailed": failed, "PaymentRefunded": refunded},
)


def is_refused(order_id: str, settings: PaymentSettings) -> bool:
    """Return whether an order's payment is refused."""
    rate = settings.payment_failure_rate
    return coin.fails(seed=settings.seed, order_id=order_id, step="payment", rate=rate)


def take_payment(connection: Connection, event: Event, *, settings: PaymentSettings) -> None:
    """Charge an order, unless the coin refuses or the order was cancelled before."""
    refused = is_refused(event.data.order_id, settings)
    PARTICIPANT.receive(connection, event, fails=refused)


@router.post(
    "/pay", response_model=Payment, responses=documented(400, 402, 409, 413, 415, 422, 503)
)
async def post_payment(request: Request, payment: NewPayment) -> Response:
    """Charge an order after PAYMENT_SECONDS of work: the same step as for its event, whose answer is the response.

    A repeat gets the first answer at once. 402: the payment was refused. 409: the order was cancelled.
    """
    state = request.app.state
    database: Database = state.database
    if await database.read(state_of, payment.order_id) == saga.FIRST:
        async with state.limit:
            await pay.work(state.settings.payment_seconds)
    reached, charge = await database.write(pay_once, payment, settings=state.settings)
    if reached == "failed":
        raise Problem(402, f"order {payment.order_id}: {REASON}")
    if charge is None or reached in ("owed", "refunded"):
        raise Problem(409, f"order {payment.order_id} was cancelled")
    pay.check_same(charge, payment)
    return json_response(encode(pay.answer(charge)))


def pay_once(
    connection: Connection, payment: NewPayment, *, settings: PaymentSettings
) -> tuple[str, Charge | None]:
    """Take the step of a new order; return the order's state, and its charge if it has one."""
    order_id = payment.order_id
    # The items are not part of the request, so nothing is published: the response is the report.
    asked = OrderCreated.new(order_id=order_id, total_cents=payment.amount_cents)
    refused = is_refused(order_id, settings)
    reached = PARTICIPANT.step(
        Moment(connection, order_id, asked, cause=None), "OrderCreated", fails=refused
    )
    return reached, store.find_charge(connection, order_id)


def create_tables(connection: Connection) -> None:
    """Create what is missing."""
    store.create_tables(connection)
    states.create(connection, checkfirst=True)


def build(settings: PaymentSettings) -> FastAPI:
    """Compose payment-service 3."""

    async def work(_: Event) -> None:
        await pay.work(settings.payment_seconds)

    limit = ConcurrencyLimit(settings.payment_slots)
    pay_back = partial(refunds.pay_due, participant=PARTICIPANT, settings=settings)
    app = create_event_app(
        service="payment-service",
        version="3",
        settings=settings,
        create_tables=create_tables,
        routers=[router, api.router, saga_router(state_of)],
        consumes=ConsumerConfig(
            "payment-service-group",
            [
                Handler(OrderCreated, partial(take_payment, settings=settings), work),
                *(
                    Handler(kind, PARTICIPANT.receive, give_up=kind not in NEVER_GIVEN_UP)
                    for kind in (InventoryFailed, OrderConfirmed, OrderCancelled)
                ),
            ],
            inbox=settings.inbox == "on",
            tries=settings.retry_tries,
            first_wait=settings.retry_backoff_seconds,
            limit=limit,
        ),
        publishes=PUBLISHES,
        tasks=[Task(pay_back, every=REFUND_SECONDS, name="refund")],
        gauges=[GaugeOf("refunds_owed", "Refunds that are owed and not paid", debts.count_open)],
    )
    app.state.limit = limit
    return app
