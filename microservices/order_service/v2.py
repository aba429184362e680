"""order-service 2: takes an order at once and publishes it; the event of the payment completes it.

It calls no other service, so none has to run: not payment-service, and not even Kafka.
"""

from typing import Annotated

from fastapi import APIRouter, FastAPI, Header, Request, Response
from sqlalchemy import Connection

from microservices.kit.events import outbox
from microservices.kit.events.app import create_event_app
from microservices.kit.events.consumer_config import ConsumerConfig, Handler
from microservices.kit.events.envelope import Event, cause_of
from microservices.kit.events.event_types import (
    NotificationRequested,
    OrderConfirmed,
    OrderCreated,
    PaymentCompleted,
)
from microservices.kit.http import idempotency
from microservices.kit.http.strict_json import StrictRoute, json_response
from microservices.order_service import api, dual_write, events, store
from microservices.order_service.model import NewOrder, Order
from microservices.order_service.settings import OrderSettings

CONSUMES = (PaymentCompleted,)
PUBLISHES = (OrderCreated, OrderConfirmed, NotificationRequested)

router = APIRouter(tags=["orders"], route_class=StrictRoute)


@router.post("/orders", status_code=201, response_model=Order, responses=api.POST_ANSWERS)
async def post_order(
    request: Request,
    new: NewOrder,
    _: Annotated[str | None, Header(alias="Idempotency-Key", description=api.KEY)] = None,
) -> Response:
    """Take an order: `pending` until payment-service has charged it."""
    state = request.app.state
    key = idempotency.idempotency_key(request)
    order = store.new_row(new, seed=state.settings.seed, key=key) | {"status": "pending"}
    event = outbox.record_of(events.created(order, new), cause_of(request))
    rows = {store.orders: order, outbox.table: outbox.row(event)}
    answer, repeated = await api.keep_once(state.database, new, key, rows)
    state.relay.wake()
    return json_response(answer.encode(), 200 if repeated else 201)


class UnknownOrder(Exception):
    """An order was paid that this service never took."""


def complete(connection: Connection, event: Event) -> None:
    """Complete the order that was paid, and publish that."""
    order = store.find_order(connection, event.data.order_id)
    if order is None:
        raise UnknownOrder(event.data.order_id)
    if store.end_order(connection, order.id, status="completed"):
        outbox.add(connection, *events.completed(order), cause=event.cause)


def build(settings: OrderSettings) -> FastAPI:
    """Compose order-service 2."""
    return create_event_app(
        service="order-service",
        version="2",
        settings=settings,
        create_tables=store.create_tables,
        routers=[router if settings.outbox == "on" else dual_write.router, api.router],
        consumes=ConsumerConfig("order-service-group", [Handler(PaymentCompleted, complete)]),
        publishes=PUBLISHES,
    )
