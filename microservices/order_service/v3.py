"""order-service 3: an order ends by a saga. Its payment and its items decide, and after a deadline it is cancelled.

It calls no other service. What others did for an order that is cancelled, they undo when they consume OrderCancelled.
"""

from typing import Annotated

from fastapi import APIRouter, FastAPI, Header, Request, Response
from sqlalchemy import Connection

from microservices.kit.events.event_types import (
    InventoryFailed,
    InventoryReserved,
    NotificationRequested,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    PaymentFailed,
)
from microservices.kit.events.participant import Participant
from microservices.kit.http.strict_json import StrictRoute
from microservices.order_service import api, events, participation, saga, sagas, store
from microservices.order_service.model import NewOrder, Order
from microservices.order_service.settings import OrderSettings

CONSUMES = (PaymentFailed, InventoryFailed, InventoryReserved)
PUBLISHES = (OrderCreated, OrderConfirmed, OrderCancelled, NotificationRequested)

router = APIRouter(tags=["orders"], route_class=StrictRoute)


@router.post("/orders", status_code=201, response_model=Order, responses=api.POST_ANSWERS)
async def post_order(
    request: Request,
    new: NewOrder,
    _: Annotated[str | None, Header(alias="Idempotency-Key", description=api.KEY)] = None,
) -> Response:
    """Take an order: `pending` until its saga ends, SAGA_TIMEOUT_SECONDS at most while the service runs."""
    return await participation.take_order(
        request, new, lambda order, new: [events.created(order, new)]
    )


def state_of(connection: Connection, order_id: str) -> str:
    """Return the state of an order: its status.

    Raises:
        UnknownOrder: this service never took it.
    """
    return str(participation.find(connection, order_id).status)


PARTICIPANT = Participant(
    table=saga.TABLE,
    find=state_of,
    save=store.set_status,
    enter=participation.ENTER,
    build=participation.BUILD,
)


def create_tables(connection: Connection) -> None:
    """Create what is missing."""
    store.create_tables(connection)
    sagas.sagas.create(connection, checkfirst=True)


def build(settings: OrderSettings) -> FastAPI:
    """Compose order-service 3."""
    return participation.compose(
        settings,
        version="3",
        participant=PARTICIPANT,
        router=router,
        consumes=CONSUMES,
        publishes=PUBLISHES,
        create_tables=create_tables,
    )
