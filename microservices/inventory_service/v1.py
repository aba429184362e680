"""inventory-service 1: sets the items of a paid order aside, and sells them or puts them back when the order ends."""

import asyncio
from functools import partial
from uuid import NAMESPACE_OID, uuid5

from fastapi import FastAPI
from sqlalchemy import Connection

from microservices.inventory_service import api, saga, store
from microservices.inventory_service.settings import InventorySettings, products_of
from microservices.kit import coin
from microservices.kit.events.app import create_event_app
from microservices.kit.events.consumer_config import ConsumerConfig, Handler
from microservices.kit.events.envelope import Event
from microservices.kit.events.event_types import (
    InventoryFailed,
    InventoryReserved,
    OrderCancelled,
    OrderConfirmed,
    PaymentCompleted,
)
from microservices.kit.events.gauges import GaugeOf
from microservices.kit.events.participant import Moment, Participant, find_state
from microservices.kit.events.saga_api import saga_router

CONSUMES = (PaymentCompleted, OrderConfirmed, OrderCancelled)
PUBLISHES = (InventoryReserved, InventoryFailed)
NEVER_GIVEN_UP = (OrderConfirmed, OrderCancelled)
"""Nothing else would repair the money or the shelf: these are tried until they succeed."""

NOT_FOUND = "the items were not found on the shelf"
"""What is published as the reason when the coin decided."""


def state_of(connection: Connection, order_id: str) -> str:
    """Return the state of an order."""
    return find_state(connection, order_id) or saga.FIRST


def paid(moment: Moment) -> PaymentCompleted:
    """Return the event of the payment that this step follows."""
    assert isinstance(moment.data, PaymentCompleted)
    return moment.data


def set_aside(moment: Moment) -> None:
    """Set the items of a paid order aside."""
    store.reserve(moment.connection, moment.order_id, store.quantities(paid(moment).items))


def reserved(moment: Moment) -> InventoryReserved:
    """Return the event of a reservation. Its id follows from the order's."""
    reservation = str(uuid5(NAMESPACE_OID, f"reservation:{moment.order_id}"))
    items = paid(moment).items
    return InventoryReserved.new(order_id=moment.order_id, reservation_id=reservation, items=items)


def failed(moment: Moment) -> InventoryFailed:
    """Return the event of items that cannot be set aside, and why."""
    items = paid(moment).items
    reason = store.missing(moment.connection, store.quantities(items)) or NOT_FOUND
    return InventoryFailed.new(order_id=moment.order_id, reason=reason, items=items)


PARTICIPANT = Participant(
    table=saga.TABLE,
    find=state_of,
    enter={
        "reserved": set_aside,
        "sold": lambda moment: store.sell(moment.connection, moment.order_id),
        "released": lambda moment: store.release(moment.connection, moment.order_id),
    },
    build={"InventoryReserved": reserved, "InventoryFailed": failed},
)


def reserve(connection: Connection, event: Event, *, settings: InventorySettings) -> None:
    """Set the items of a paid order aside, unless the shelf or the coin refuses."""
    assert isinstance(event.data, PaymentCompleted)
    refused = coin.fails(
        seed=settings.seed,
        order_id=event.data.order_id,
        step="inventory",
        rate=settings.inventory_failure_rate,
    )
    fails = refused or store.missing(connection, store.quantities(event.data.items)) is not None
    PARTICIPANT.receive(connection, event, fails=fails)


def build(settings: InventorySettings) -> FastAPI:
    """Compose inventory-service 1."""

    async def work(_: Event) -> None:
        await asyncio.sleep(settings.inventory_seconds)

    handlers = [
        Handler(PaymentCompleted, partial(reserve, settings=settings), work),
        *(Handler(kind, PARTICIPANT.receive, give_up=False) for kind in NEVER_GIVEN_UP),
    ]
    return create_event_app(
        service="inventory-service",
        version="1",
        settings=settings,
        create_tables=partial(store.create_tables, stock=products_of(settings.stock)),
        routers=[api.router, saga_router(state_of)],
        consumes=ConsumerConfig("inventory-service-group", handlers),
        publishes=PUBLISHES,
        gauges=[GaugeOf("reservations_open", "Orders whose items are set aside", store.count_open)],
    )
