"""order-service as a participant of a saga: what the end of an order means, and the deadline that ends it.

Which event leads to which state, a version's table says. The versions differ in the states before the end.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from sqlalchemy import Connection

from microservices.kit.database import Rows
from microservices.kit.events import outbox
from microservices.kit.events.app import create_event_app, open_points
from microservices.kit.events.consumer_config import ConsumerConfig, Handler
from microservices.kit.events.envelope import Cause, cause_of
from microservices.kit.events.event_types import (
    Data,
    InventoryFailed,
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
from microservices.kit.http.strict_json import json_response
from microservices.kit.ids import new_id
from microservices.kit.points import DEADLINE, NO_FAULTS, Points
from microservices.order_service import api, sagas, store
from microservices.order_service.model import NewOrder
from microservices.order_service.settings import OrderSettings

GRACE_SECONDS = 10.0
"""How long the service must have consumed without a break before a deadline counts.

After an outage the answers that waited in Kafka are read first: silence counts only while one listens.
"""

BATCH = 100
"""Orders that one transaction cancels."""

TIMED_OUT = "no answer in time"


class UnknownOrder(Exception):
    """An event reports on an order that this service never took."""


def find(connection: Connection, order_id: str) -> Any:
    """Return the row of an order.

    Raises:
        UnknownOrder: this service never took it.
    """
    order = store.find_order(connection, order_id)
    if order is None:
        raise UnknownOrder(order_id)
    return order


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
    order = find(moment.connection, moment.order_id)
    template = f"order-{order.status}"
    return NotificationRequested.new(order_id=order.id, user_id=order.user_id, template=template)


ENTER: Mapping[str, Callable[[Moment], None]] = {"cancelled": note_reason}
BUILD: Mapping[str, Callable[[Moment], Data]] = {
    "OrderConfirmed": lambda moment: OrderConfirmed.new(order_id=moment.order_id),
    "OrderCancelled": lambda moment: OrderCancelled.new(
        order_id=moment.order_id, reason=reason(moment)
    ),
    "NotificationRequested": notification,
}
"""What every version does at the end of an order, and publishes there."""


async def take_order(
    request: Request,
    new: NewOrder,
    publish: Callable[[dict[str, Any], NewOrder], Sequence[Data]],
) -> Response:
    """Take an order, with its saga and its first events, which `publish` returns: OrderCreated comes first."""
    state = request.app.state
    key = idempotency.idempotency_key(request)
    order = store.new_row(new, seed=state.settings.seed, key=key) | {"status": "pending"}
    cause, event_id = cause_of(request), new_id()
    follows = Cause(cause.correlation_id, event_id, cause.traceparent)
    created, *commands = publish(order, new)
    records = [outbox.record_of(created, cause, event_id=event_id)]
    records += [outbox.record_of(command, follows) for command in commands]
    timeout = state.settings.saga_timeout_seconds
    rows: Rows = {
        store.orders: order,
        outbox.table: [outbox.row(record) for record in records],
        sagas.sagas: sagas.new_row(order["id"], seconds=timeout, cause=follows),
    }
    answer, repeated = await api.keep_once(state.database, new, key, rows)
    if not repeated:
        state.points.passed("committed", OrderCreated.__name__)
    state.relay.wake()
    return json_response(answer.encode(), 200 if repeated else 201)


def cancel_overdue(
    connection: Connection, *, participant: Participant, points: Points = NO_FAULTS
) -> bool:
    """Cancel orders that are pending after their deadline; return whether there were any."""
    late = sagas.overdue(connection, BATCH, also=points.overdue())
    for row in late:
        moment = Moment(connection, row.order_id, None, sagas.cause_of(row))
        participant.step(moment, DEADLINE)
    return bool(late)


def compose(
    settings: OrderSettings,
    *,
    version: str,
    participant: Participant,
    router: APIRouter,
    consumes: Sequence[type[Data]],
    publishes: Sequence[type[Data]],
    create_tables: Callable[[Connection], None],
) -> FastAPI:
    """Compose a version that follows a saga."""
    oldest = partial(sagas.oldest_pending_seconds, timeout=settings.saga_timeout_seconds)
    points = open_points(settings)
    sweep = partial(cancel_overdue, participant=participant, points=points)
    handlers = [Handler(kind, participant.receive) for kind in consumes]
    return create_event_app(
        service="order-service",
        version=version,
        settings=settings,
        create_tables=create_tables,
        routers=[router, api.router],
        consumes=ConsumerConfig("order-service-group", handlers),
        publishes=publishes,
        tasks=[Task(sweep, listening_seconds=GRACE_SECONDS, name=DEADLINE)],
        requests=[OrderCreated],
        points=points,
        gauges=[
            GaugeOf("sagas_pending", "Orders that have not ended", sagas.count_pending),
            GaugeOf("saga_oldest_pending_seconds", "Age of the oldest of them", oldest),
        ],
    )
