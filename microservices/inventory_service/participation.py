"""inventory-service as a participant of a saga: what its states mean on the shelf, and what it consumes.

Which event leads to which state, a version's table says. The versions differ in the event that asks for the items.
"""

import asyncio
from collections.abc import Sequence
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
    Data,
    InventoryFailed,
    InventoryReserved,
    PaymentCompleted,
    ReserveRequested,
)
from microservices.kit.events.gauges import GaugeOf
from microservices.kit.events.participant import Moment, Participant, find_state
from microservices.kit.events.saga_api import saga_router
from microservices.kit.items import Item
from microservices.kit.saga import Table

Asked = PaymentCompleted | ReserveRequested
"""What asks for the items of an order."""

PUBLISHES = (InventoryReserved, InventoryFailed)

NOT_FOUND = "the items were not found on the shelf"
"""What is published as the reason when the coin decided."""


def state_of(connection: Connection, order_id: str) -> str:
    """Return the state of an order."""
    return find_state(connection, order_id) or saga.FIRST


def wanted(moment: Moment) -> list[Item]:
    """Return the items that this step is about."""
    assert isinstance(moment.data, Asked)
    return moment.data.items


def set_aside(moment: Moment) -> None:
    """Set the items of an order aside."""
    store.reserve(moment.connection, moment.order_id, store.quantities(wanted(moment)))


def reserved(moment: Moment) -> InventoryReserved:
    """Return the event of a reservation. Its id follows from the order's."""
    reservation = str(uuid5(NAMESPACE_OID, f"reservation:{moment.order_id}"))
    items = wanted(moment)
    return InventoryReserved.new(order_id=moment.order_id, reservation_id=reservation, items=items)


def failed(moment: Moment) -> InventoryFailed:
    """Return the event of items that cannot be set aside, and why."""
    items = wanted(moment)
    reason = store.missing(moment.connection, store.quantities(items)) or NOT_FOUND
    return InventoryFailed.new(order_id=moment.order_id, reason=reason, items=items)


def participant(table: Table) -> Participant:
    """Return inventory-service as a participant that follows this table."""
    return Participant(
        table=table,
        find=state_of,
        enter={
            "reserved": set_aside,
            "sold": lambda moment: store.sell(moment.connection, moment.order_id),
            "released": lambda moment: store.release(moment.connection, moment.order_id),
        },
        build={"InventoryReserved": reserved, "InventoryFailed": failed},
    )


def reserve(
    connection: Connection, event: Event, *, participant: Participant, settings: InventorySettings
) -> None:
    """Set the items of an order aside, unless the shelf or the coin refuses."""
    assert isinstance(event.data, Asked)
    refused = coin.fails(
        seed=settings.seed,
        order_id=event.data.order_id,
        step="inventory",
        rate=settings.inventory_failure_rate,
    )
    fails = refused or store.missing(connection, store.quantities(event.data.items)) is not None
    participant.receive(connection, event, fails=fails)


def compose(
    settings: InventorySettings,
    *,
    version: str,
    participant: Participant,
    reserves_on: type[Asked],
    never_given_up: Sequence[type[Data]],
) -> FastAPI:
    """Compose a version that follows a saga: what asks it for items, and what it consumes besides."""

    async def work(_: Event) -> None:
        await asyncio.sleep(settings.inventory_seconds)

    reserve_items = partial(reserve, participant=participant, settings=settings)
    handlers = [
        Handler(reserves_on, reserve_items, work),
        *(Handler(kind, participant.receive, give_up=False) for kind in never_given_up),
    ]
    return create_event_app(
        service="inventory-service",
        version=version,
        settings=settings,
        create_tables=partial(store.create_tables, stock=products_of(settings.stock)),
        routers=[api.router, saga_router(state_of)],
        consumes=ConsumerConfig("inventory-service-group", handlers),
        publishes=PUBLISHES,
        gauges=[GaugeOf("reservations_open", "Orders whose items are set aside", store.count_open)],
    )
