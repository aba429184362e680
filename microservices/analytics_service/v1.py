"""analytics-service 1: consumes every event, and adds up. When it starts late, it consumes the earlier events too."""

from collections.abc import Callable

from fastapi import FastAPI
from sqlalchemy import Connection

from microservices.analytics_service import api, store
from microservices.kit.events.app import create_event_app
from microservices.kit.events.consumer_config import ConsumerConfig, Handler
from microservices.kit.events.envelope import Event
from microservices.kit.events.event_types import (
    InventoryFailed,
    InventoryReserved,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    PaymentCompleted,
    PaymentFailed,
    PaymentRefunded,
)
from microservices.kit.settings import Settings

Effect = Callable[[Connection, Event], None]


def once(count: Effect) -> Effect:
    """Return `count`, without effect for an order of which an event of that type was counted before."""

    def count_once(connection: Connection, event: Event) -> None:
        if store.is_new(connection, event.data.order_id, type(event.data).__name__):
            count(connection, event)

    return count_once


def count_order(connection: Connection, event: Event) -> None:
    """Count a new order."""
    store.add(connection, "orders", 1)
    store.add_created(connection, event.data.order_id, event.timestamp)


def count_success(connection: Connection, _: Event) -> None:
    """Count a completed order."""
    store.add(connection, "successful", 1)


def count_failure(connection: Connection, _: Event) -> None:
    """Count a cancelled order."""
    store.add(connection, "failed", 1)


def add_charge(connection: Connection, event: Event) -> None:
    """Add the amount that was charged."""
    assert isinstance(event.data, PaymentCompleted)
    store.add(connection, "revenue", event.data.amount_cents)


def subtract_refund(connection: Connection, event: Event) -> None:
    """Subtract the amount that was refunded."""
    assert isinstance(event.data, PaymentRefunded)
    store.add(connection, "revenue", -event.data.amount_cents)


def change_nothing(_: Connection, __: Event) -> None:
    """Change nothing: the event is only read and validated, so that a bad one is seen."""


HANDLERS = (
    Handler(OrderCreated, once(count_order)),
    Handler(OrderConfirmed, once(count_success)),
    Handler(OrderCancelled, once(count_failure)),
    Handler(PaymentCompleted, once(add_charge)),
    Handler(PaymentRefunded, once(subtract_refund)),
    Handler(PaymentFailed, change_nothing),
    Handler(InventoryReserved, change_nothing),
    Handler(InventoryFailed, change_nothing),
)
CONSUMES = tuple(handler.kind for handler in HANDLERS)


def build(settings: Settings) -> FastAPI:
    """Compose analytics-service 1."""
    return create_event_app(
        service="analytics-service",
        version="1",
        settings=settings,
        create_tables=store.create_tables,
        routers=[api.routes(store.view)],
        consumes=ConsumerConfig("analytics-service-group", HANDLERS),
    )
