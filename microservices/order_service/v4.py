"""order-service 4: the orchestrator of an order's saga. It asks payment-service, then inventory-service, by commands.

The participants need not know each other's events, and where an order is stuck is one row of this service's database.
"""

from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header, Request, Response
from pydantic import TypeAdapter
from sqlalchemy import Connection

from microservices.kit.events import participant
from microservices.kit.events.event_types import (
    ChargeRequested,
    Data,
    InventoryFailed,
    InventoryReserved,
    NotificationRequested,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    PaymentCompleted,
    PaymentFailed,
    RefundRequested,
    ReleaseRequested,
    ReserveRequested,
)
from microservices.kit.events.participant import Moment, Participant
from microservices.kit.http.strict_json import StrictRoute
from microservices.kit.items import Items
from microservices.order_service import api, events, orchestration, participation, sagas, store
from microservices.order_service.model import NewOrder, Order
from microservices.order_service.settings import OrderSettings

CONSUMES = (PaymentCompleted, PaymentFailed, InventoryReserved, InventoryFailed)
COMMANDS = (ChargeRequested, RefundRequested, ReserveRequested, ReleaseRequested)
PUBLISHES = (OrderCreated, *COMMANDS, OrderConfirmed, OrderCancelled, NotificationRequested)

ITEMS: TypeAdapter[Any] = TypeAdapter(Items)

router = APIRouter(tags=["orders"], route_class=StrictRoute)


@router.post("/orders", status_code=201, response_model=Order, responses=api.POST_ANSWERS)
async def post_order(
    request: Request,
    new: NewOrder,
    _: Annotated[str | None, Header(alias="Idempotency-Key", description=api.KEY)] = None,
) -> Response:
    """Take an order, and ask for its charge: `pending` until its saga ends, SAGA_TIMEOUT_SECONDS at most."""
    return await participation.take_order(request, new, first_events)


def first_events(order: dict[str, Any], new: NewOrder) -> list[Data]:
    """Return what is published with a new order."""
    created = events.created(order, new)
    charge = ChargeRequested.new(
        order_id=created.order_id, items=created.items, total_cents=created.total_cents
    )
    return [created, charge]


def state_of(connection: Connection, order_id: str) -> str:
    """Return how far the saga of an order is.

    Raises:
        UnknownOrder: this service never took it.
    """
    order = participation.find(connection, order_id)
    if order.status != "pending":
        return str(order.status)
    return participant.find_state(connection, order_id) or orchestration.FIRST


def save_state(connection: Connection, order_id: str, state: str) -> None:
    """Store how far the saga of an order is; its end is the status of the order too."""
    if state in ("completed", "cancelled"):
        store.set_status(connection, order_id, state)
    participant.save_state(connection, order_id, state)


def reserve(moment: Moment) -> ReserveRequested:
    """Return the command that asks for the items of an order."""
    items = participation.find(moment.connection, moment.order_id).items
    return ReserveRequested.new(order_id=moment.order_id, items=ITEMS.validate_json(items))


PARTICIPANT = Participant(
    table=orchestration.TABLE,
    find=state_of,
    save=save_state,
    enter=participation.ENTER,
    build={
        **participation.BUILD,
        "ReserveRequested": reserve,
        "RefundRequested": lambda moment: RefundRequested.new(order_id=moment.order_id),
        "ReleaseRequested": lambda moment: ReleaseRequested.new(order_id=moment.order_id),
    },
)


def create_tables(connection: Connection) -> None:
    """Create what is missing."""
    store.create_tables(connection)
    sagas.sagas.create(connection, checkfirst=True)
    participant.states.create(connection, checkfirst=True)


def build(settings: OrderSettings) -> FastAPI:
    """Compose order-service 4."""
    return participation.compose(
        settings,
        version="4",
        participant=PARTICIPANT,
        router=router,
        consumes=CONSUMES,
        publishes=PUBLISHES,
        create_tables=create_tables,
    )
