"""analytics-service 1: listens to everything, and adds up. It may come late, and misses nothing."""

from fastapi import FastAPI
from sqlalchemy import Connection

from microservices.analytics_service import api, store
from microservices.kit.database import open_database
from microservices.kit.drain import Drain
from microservices.kit.events.consumer import EventConsumer
from microservices.kit.events.delivery import Handler, Handling
from microservices.kit.events.event_types import (
    Event,
    InventoryFailed,
    InventoryReserved,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    PaymentCompleted,
    PaymentFailed,
    PaymentRefunded,
)
from microservices.kit.events.kafka import Topics, client_settings
from microservices.kit.events.producer import EventProducer
from microservices.kit.http.app import create_app
from microservices.kit.settings import Settings

GROUP = "analytics-service-group"


def count_order(connection: Connection, event: Event) -> None:
    """Count a new order."""
    store.add(connection, "orders", 1)
    store.add_created(connection, event.data.order_id, event.timestamp)


def count_success(connection: Connection, _: Event) -> None:
    """Count an order that ended well."""
    store.add(connection, "successful", 1)


def count_failure(connection: Connection, _: Event) -> None:
    """Count an order that ended without a sale."""
    store.add(connection, "failed", 1)


def add_charge(connection: Connection, event: Event) -> None:
    """Add what was charged."""
    assert isinstance(event.data, PaymentCompleted)
    store.add(connection, "revenue", event.data.amount_cents)


def subtract_refund(connection: Connection, event: Event) -> None:
    """Subtract what went back."""
    assert isinstance(event.data, PaymentRefunded)
    store.add(connection, "revenue", -event.data.amount_cents)


def pass_over(_: Connection, __: Event) -> None:
    """Change nothing: the event is read, and checked, for the sake of who looks at the log."""


HANDLERS = (
    Handler(OrderCreated, count_order),
    Handler(OrderConfirmed, count_success),
    Handler(OrderCancelled, count_failure),
    Handler(PaymentCompleted, add_charge),
    Handler(PaymentRefunded, subtract_refund),
    Handler(PaymentFailed, pass_over),
    Handler(InventoryReserved, pass_over),
    Handler(InventoryFailed, pass_over),
)
READS = tuple(handler.kind for handler in HANDLERS)


def build(settings: Settings) -> FastAPI:
    """Compose analytics-service 1."""
    database, drain = open_database("analytics-service", settings), Drain()
    client = client_settings(settings)
    producer = EventProducer(client)  # of dead letters
    handling = Handling(
        group=GROUP, handlers=HANDLERS, database=database, producer=producer, inbox=store.inbox
    )
    topics = Topics(client, reads=READS)
    consumer = EventConsumer(client, handling, topics=topics, drain=drain)
    return create_app(
        service="analytics-service",
        version="1",
        settings=settings,
        database=database,
        create_tables=store.create_tables,
        routers=[api.router],
        parts=[producer, consumer],
        needs=[topics.unavailable, consumer.unavailable],
        drain=drain,
    )
