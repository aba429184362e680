"""order-service 3: an order ends by a saga. Its payment and its items decide, and after a deadline it is cancelled.

It calls no other service. What others did for an order that is cancelled, they undo when they consume OrderCancelled.
"""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, FastAPI, Header, Request, Response
from sqlalchemy import Connection

from microservices.kit.events import outbox
from microservices.kit.events.app import create_event_app, open_points
from microservices.kit.events.consumer_config import ConsumerConfig, Handler
from microservices.kit.events.envelope import Cause, cause_of
from microservices.kit.events.event_types import (
    InventoryFailed,
    InventoryReserved,
    NotificationRequested,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    PaymentFailed,
)
from microservices.kit.events.gauges import GaugeOf
from microservices.kit.events.participant import Moment, Participant
from microservices.kit.events.periodic import Task
from microservices.kit.http import idempotency
from microservices.kit.http.strict_json import StrictRoute, json_response
from microservices.kit.ids import new_id
from microservices.kit.points import DEADLINE, NO_FAULTS, Points
from microservices.order_service import api, events, saga, sagas, store
from microservices.order_service.model import NewOrder, Order
from microservices.order_service.settings import OrderSettings

CONSUMES = (PaymentFailed, InventoryFailed, InventoryReserved)
PUBLISHES = (OrderCreated, OrderConfirmed, OrderCancelled, NotificationRequested)

GRACE_SECONDS = 10.0
"""How long the service must have consumed without a break before a deadline counts.

After an outage the answers that waited in Kafka are read first: silence counts only while one listens.
"""

BATCH = 100
"""Orders that one transaction cancels."""

TIMED_OUT = "no answer in time"

router = APIRouter(tags=["orders"], route_class=StrictRoute)


@router.post("/orders", status_code=201, response_model=Order, responses=api.POST_ANSWERS)
async def post_order(
    request: Request,
    new: NewOrder,
    _: Annotated[str | None, Header(alias="Idempotency-Key", description=api.KEY)] = None,
) -> Response:
    """Take an order: `pending` until its saga ends, SAGA_TIMEOUT_SECONDS at most while the service runs."""
    state = request.app.state
    key = idempotency.idempotency_key(request)
    order = store.new_row(new, seed=state.settings.seed, key=key) | {"status": saga.FIRST}
    cause, event_id = cause_of(request), new_id()
    event = outbox.record_of(events.created(order, new), cause, event_id=event_id)
    follows = Cause(cause.correlation_id, event_id, cause.traceparent)
    timeout = state.settings.saga_timeout_seconds
    rows = {
        store.orders: order,
        outbox.table: outbox.row(event),
        sagas.sagas: sagas.new_row(order["id"], seconds=timeout, cause=follows),
    }
    answer, repeated = await api.keep_once(state.database, new, key, rows)
    if not repeated:
        state.points.passed("committed", OrderCreated.__name__)
    state.relay.wake()
    return json_response(answer.encode(), 200 if repeated else 201)


class UnknownOrder(Exception):
    """An event reports on an order that this service never took."""


def state_of(connection: Connection, order_id: str) -> str:
    """Return the state of an order.

    Raises:
        UnknownOrder: this service never took it.
    """
    order = store.find_order(connection, order_id)
    if order is None:
        raise UnknownOrder(order_id)
    return str(order.status)


def reason(moment: Moment) -> str:
    """Return why this step cancels its order."""
    if isinstance(moment.data, PaymentFailed | InventoryFailed):
        return moment.data.reason
    return TIMED_OUT


def note_reason(moment: Moment) -> None:
    """Store why an order was cancelled."""
    store.set_reason(moment.connection, moment.order_id, reason(moment))


def notification(moment: Moment) -> NotificationRequested:
    """Return the event that asks to notify the customer of how the order ended."""
    order = store.find_order(moment.connection, moment.order_id)
    assert order is not None
    template = f"order-{order.status}"
    return NotificationRequested.new(order_id=order.id, user_id=order.user_id, template=template)


PARTICIPANT = Participant(
    table=saga.TABLE,
    find=state_of,
    save=store.set_status,
    enter={"cancelled": note_reason},
    build={
        "OrderConfirmed": lambda moment: OrderConfirmed.new(order_id=moment.order_id),
        "OrderCancelled": lambda moment: OrderCancelled.new(
            order_id=moment.order_id, reason=reason(moment)
        ),
        "NotificationRequested": notification,
    },
)


def cancel_overdue(connection: Connection, *, points: Points = NO_FAULTS) -> bool:
    """Cancel orders that are pending after their deadline; return whether there were any."""
    late = sagas.overdue(connection, BATCH, also=points.overdue())
    for row in late:
        moment = Moment(connection, row.order_id, None, sagas.cause_of(row))
        PARTICIPANT.step(moment, DEADLINE)
    return bool(late)


def create_tables(connection: Connection) -> None:
    """Create what is missing."""
    store.create_tables(connection)
    sagas.sagas.create(connection, checkfirst=True)


def build(settings: OrderSettings) -> FastAPI:
    """Compose order-service 3."""
    oldest = partial(sagas.oldest_pending_seconds, timeout=settings.saga_timeout_seconds)
    handlers = [Handler(kind, PARTICIPANT.receive) for kind in CONSUMES]
    points = open_points(settings)
    sweep = partial(cancel_overdue, points=points)
    return create_event_app(
        service="order-service",
        version="3",
        settings=settings,
        create_tables=create_tables,
        routers=[router, api.router],
        consumes=ConsumerConfig("order-service-group", handlers),
        publishes=PUBLISHES,
        tasks=[Task(sweep, listening_seconds=GRACE_SECONDS, name=DEADLINE)],
        requests=[OrderCreated],
        points=points,
        gauges=[
            GaugeOf("sagas_pending", "Orders that have not ended", sagas.count_pending),
            GaugeOf("saga_oldest_pending_seconds", "Age of the oldest of them", oldest),
        ],
    )
