"""order-service 2: takes an order at once, and tells so; it is completed when the payment is told.

Nobody is called, so nobody has to be there: not payment-service, and not even Kafka.
"""

from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header, Request, Response
from sqlalchemy import Connection, Table

from microservices.kit import correlation, trace
from microservices.kit.database import Database, open_database
from microservices.kit.drain import Drain
from microservices.kit.events import outbox
from microservices.kit.events.consumer import EventConsumer
from microservices.kit.events.delivery import Handler, Handling
from microservices.kit.events.event_types import (
    Cause,
    Event,
    NotificationRequested,
    OrderConfirmed,
    OrderCreated,
    PaymentCompleted,
)
from microservices.kit.events.kafka import Topics, client_settings
from microservices.kit.events.producer import EventProducer
from microservices.kit.events.relay import Relay
from microservices.kit.http import idempotency
from microservices.kit.http.app import create_app
from microservices.kit.wire import StrictRoute, json_response
from microservices.order_service import api, messages, store
from microservices.order_service.model import NewOrder, Order
from microservices.order_service.settings import OrderSettings

GROUP = "order-service-group"
READS = (PaymentCompleted,)
WRITES = (OrderCreated, OrderConfirmed, NotificationRequested)

router = APIRouter(tags=["orders"], route_class=StrictRoute)


@router.post("/orders", status_code=201, response_model=Order, responses=api.POST_ANSWERS)
async def post_order(
    request: Request,
    new: NewOrder,
    _: Annotated[str | None, Header(alias="Idempotency-Key", description=api.KEY)] = None,
) -> Response:
    """Take an order: ``pending`` until its payment is told."""
    state = request.app.state
    key = idempotency.idempotency_key(request)
    order = store.new_row(new, seed=state.settings.seed, key=key) | {"status": "pending"}
    event, cause = created(order, new), cause_of(request)
    rows = {store.orders: order}
    if state.settings.outbox == "on":
        rows[messages.outbox] = outbox.row(event, cause)
    answer, repeated = await take(state.database, new, key, rows)
    if state.settings.outbox == "on":
        state.relay.wake()
    elif not repeated:  # whoever kills us just before the next line: nobody will ever know
        state.producer.send_and_forget(outbox.record_of(event, cause))
    return json_response(answer.encode(), 200 if repeated else 201)


async def take(
    database: Database, new: NewOrder, key: str | None, rows: dict[Table, dict[str, Any]]
) -> tuple[str, bool]:
    """Keep an order and its event; return the answer, and whether it is a repeat."""
    if key is None:
        return await api.keep(database, rows, None), False
    found = await idempotency.claim_or_answer(
        database,
        store.answers,
        user_id=new.user_id,
        key=key,
        asked=idempotency.fingerprint(new),
    )
    if isinstance(found, str):
        return found, True
    return await api.keep(database, rows, found), False


def created(order: dict[str, Any], new: NewOrder) -> OrderCreated:
    """Return the event of a new order."""
    return OrderCreated.new(
        order_id=order["id"],
        user_id=order["user_id"],
        items=new.items,
        total_cents=order["total_cents"],
    )


def cause_of(request: Request) -> Cause:
    """Return what the events of this request follow from."""
    traceparent = trace.next_step(request.headers.get(trace.HEADER))
    return Cause(correlation.current.get(), None, traceparent)


class UnknownOrder(Exception):
    """Somebody has paid for an order that we never took."""


def complete(connection: Connection, event: Event) -> None:
    """Complete the order that was paid, and tell so."""
    order = store.find_order(connection, event.data.order_id)
    if order is None:
        raise UnknownOrder(event.data.order_id)
    if store.end_order(connection, order.id, status="completed"):
        outbox.add(
            connection,
            messages.outbox,
            OrderConfirmed.new(order_id=order.id),
            NotificationRequested.new(
                order_id=order.id, user_id=order.user_id, template="order-completed"
            ),
            cause=event.cause,
        )


def build(settings: OrderSettings) -> FastAPI:
    """Compose order-service 2."""
    database, drain = open_database("order-service", settings), Drain()
    client = client_settings(settings)
    producer = EventProducer(client)
    relay = Relay(database, producer, outbox=messages.outbox, leases=messages.leases)
    handling = Handling(
        group=GROUP,
        handlers=[Handler(PaymentCompleted, complete)],
        database=database,
        producer=producer,
        inbox=messages.inbox,
        on_commit=relay.wake,
    )
    topics = Topics(client, reads=READS, writes=WRITES)
    consumer = EventConsumer(client, handling, topics=topics, drain=drain)
    app = create_app(
        service="order-service",
        version="2",
        settings=settings,
        database=database,
        create_tables=messages.create_tables,
        routers=[router, api.router],
        parts=[producer, relay, consumer],
        needs=[topics.unavailable, consumer.unavailable],
        drain=drain,
    )
    app.state.producer, app.state.relay = producer, relay
    return app
