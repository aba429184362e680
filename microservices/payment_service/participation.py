"""payment-service as a participant of a saga: its route `/pay`, what it consumes, and the refunds that it owes."""

from collections.abc import Sequence
from functools import partial

from fastapi import APIRouter, FastAPI, Request, Response
from sqlalchemy import Connection

from microservices.kit.concurrency_limit import ConcurrencyLimit
from microservices.kit.database import Database
from microservices.kit.events.app import create_event_app
from microservices.kit.events.consumer_config import ConsumerConfig, Handler
from microservices.kit.events.envelope import Event
from microservices.kit.events.event_types import Data, OrderConfirmed
from microservices.kit.events.gauges import GaugeOf
from microservices.kit.events.participant import Moment, Participant
from microservices.kit.events.periodic import Task
from microservices.kit.events.saga_api import saga_router
from microservices.kit.http.problem import Problem, documented
from microservices.kit.http.strict_json import StrictRoute, json_response
from microservices.kit.wire import encode
from microservices.payment_service import api, charging, debts, pay, refunds, saga, store
from microservices.payment_service.charging import REASON, Asked
from microservices.payment_service.model import NewPayment, Payment
from microservices.payment_service.settings import PaymentSettings
from microservices.payment_service.store import Charge

REFUND_SECONDS = 0.1
"""How often the service looks for refunds that are due."""


def pay_router(participant: Participant, kind: type[Asked]) -> APIRouter:
    """Return the route `/pay`, which takes the step that an event of this kind takes."""
    router = APIRouter(tags=["payments"], route_class=StrictRoute)

    @router.post(
        "/pay", response_model=Payment, responses=documented(400, 402, 409, 413, 415, 422, 503)
    )
    async def post_payment(request: Request, payment: NewPayment) -> Response:
        """Charge an order after PAYMENT_SECONDS of work: the same step as for its event, answered by the response.

        A repeat gets the first answer at once. 402: the payment was refused. 409: the order was cancelled.
        """
        state = request.app.state
        database: Database = state.database
        if await database.read(charging.state_of, payment.order_id) == saga.FIRST:
            async with state.limit:
                await pay.work(state.settings.payment_seconds)
        # The items are not part of the request, so nothing is published: the response is the report.
        asked = kind.new(order_id=payment.order_id, total_cents=payment.amount_cents)
        step = partial(pay_once, participant=participant, settings=state.settings)
        reached, charge = await database.write(step, asked)
        if reached == "failed":
            raise Problem(402, f"order {payment.order_id}: {REASON}")
        if charge is None or reached in ("owed", "refunded"):
            raise Problem(409, f"order {payment.order_id} was cancelled")
        pay.check_same(charge, payment)
        return json_response(encode(pay.answer(charge)))

    return router


def pay_once(
    connection: Connection, asked: Asked, *, participant: Participant, settings: PaymentSettings
) -> tuple[str, Charge | None]:
    """Take the step of a charge that is asked for; return the order's state, and its charge if it has one."""
    refused = charging.is_refused(asked.order_id, settings)
    moment = Moment(connection, asked.order_id, asked, cause=None)
    reached = participant.step(moment, type(asked).__name__, fails=refused)
    return reached, store.find_charge(connection, asked.order_id)


def take_payment(
    connection: Connection, event: Event, *, participant: Participant, settings: PaymentSettings
) -> None:
    """Charge an order, unless the coin refuses or the order was cancelled before."""
    refused = charging.is_refused(event.data.order_id, settings)
    participant.receive(connection, event, fails=refused)


def compensate(connection: Connection, event: Event, *, participant: Participant) -> None:
    """Undo the payment of a cancelled order, in whatever state it is, so that it is never charged later.

    The states are those of the saga's table.
    """
    participant.receive(connection, event)


def compose(
    settings: PaymentSettings,
    *,
    version: str,
    participant: Participant,
    consumes: Sequence[type[Data]],
    charges_on: type[Asked],
    never_given_up: Sequence[type[Data]],
) -> FastAPI:
    """Compose a version that follows a saga: what it consumes, and which of that asks for a charge."""

    async def work(_: Event) -> None:
        await pay.work(settings.payment_seconds)

    charge = partial(take_payment, participant=participant, settings=settings)
    cancel = partial(compensate, participant=participant)
    pay_back = partial(refunds.pay_due, participant=participant, settings=settings)
    limit = ConcurrencyLimit(settings.payment_slots)
    app = create_event_app(
        service="payment-service",
        version=version,
        settings=settings,
        create_tables=charging.create_tables,
        routers=[pay_router(participant, charges_on), api.router, saga_router(charging.state_of)],
        consumes=ConsumerConfig(
            "payment-service-group",
            [
                Handler(charges_on, charge, work),
                *(
                    Handler(
                        kind,
                        participant.receive if kind is OrderConfirmed else cancel,
                        give_up=kind not in never_given_up,
                    )
                    for kind in consumes
                    if kind is not charges_on
                ),
            ],
            inbox=settings.inbox == "on",
            tries=settings.retry_tries,
            first_wait=settings.retry_backoff_seconds,
            limit=limit,
        ),
        publishes=charging.PUBLISHES,
        tasks=[Task(pay_back, every=REFUND_SECONDS, name="refund")],
        gauges=[GaugeOf("refunds_owed", "Refunds that are owed and not paid", debts.count_open)],
    )
    app.state.limit = limit
    return app
