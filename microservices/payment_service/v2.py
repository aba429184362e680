"""payment-service 2: charges every order it consumes, and publishes the payment."""

from uuid import NAMESPACE_OID, uuid5

from fastapi import FastAPI
from sqlalchemy import Connection

from microservices.kit.concurrency_limit import ConcurrencyLimit
from microservices.kit.events import outbox
from microservices.kit.events.app import create_event_app
from microservices.kit.events.consumer_config import ConsumerConfig, Handler
from microservices.kit.events.envelope import Event
from microservices.kit.events.event_types import OrderCreated, PaymentCompleted
from microservices.payment_service import api, pay, store
from microservices.payment_service.settings import PaymentSettings
from microservices.payment_service.store import Charge

CONSUMES = (OrderCreated,)
PUBLISHES = (PaymentCompleted,)


def charge(connection: Connection, event: Event) -> None:
    """Charge an order's total, unless it was charged before, and publish the payment."""
    order = order_of(event)
    publish(connection, event, store.charge_once(connection, order.order_id, order.total_cents))


def charge_without_protection(connection: Connection, event: Event) -> None:
    """Charge an order's total at each delivery: what `INBOX=off` shows."""
    order = order_of(event)
    publish(connection, event, store.charge_again(connection, order.order_id, order.total_cents))


def publish(connection: Connection, event: Event, charge: Charge) -> None:
    """Publish a charge, in its transaction.

    An order that is reported again, by another event, has the same charge, and its payment is the same event.
    """
    paid = PaymentCompleted.new(
        order_id=charge.order_id,
        payment_id=charge.payment_id,
        amount_cents=charge.amount_cents,
        items=order_of(event).items,
    )
    event_id = str(uuid5(NAMESPACE_OID, f"PaymentCompleted:{charge.payment_id}"))
    outbox.add(connection, paid, cause=event.cause, event_id=event_id)


def order_of(event: Event) -> OrderCreated:
    """Return the order that an event reports."""
    assert isinstance(event.data, OrderCreated)
    return event.data


def build(settings: PaymentSettings) -> FastAPI:
    """Compose payment-service 2."""

    async def work(_: Event) -> None:
        await pay.work(settings.payment_seconds)

    protected, limit = settings.inbox == "on", ConcurrencyLimit(settings.payment_slots)
    effect = charge if protected else charge_without_protection
    app = create_event_app(
        service="payment-service",
        version="2",
        settings=settings,
        create_tables=store.create_tables,
        routers=[pay.router, api.router],
        consumes=ConsumerConfig(
            "payment-service-group",
            [Handler(OrderCreated, effect, work)],
            inbox=protected,
            tries=settings.retry_tries,
            first_wait=settings.retry_backoff_seconds,
            limit=limit,
        ),
        publishes=PUBLISHES,
    )
    app.state.limit = limit
    return app
