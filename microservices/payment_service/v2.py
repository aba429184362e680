"""payment-service 2: charges every order it hears of, and tells so."""

from fastapi import FastAPI
from sqlalchemy import Connection

from microservices.kit.concurrency_limit import Slots
from microservices.kit.database import open_database
from microservices.kit.drain import Drain
from microservices.kit.events import outbox
from microservices.kit.events.consumer import EventConsumer
from microservices.kit.events.delivery import Handler, Handling
from microservices.kit.events.event_types import Event, OrderCreated, PaymentCompleted
from microservices.kit.events.kafka import Topics, client_settings
from microservices.kit.events.producer import EventProducer
from microservices.kit.events.relay import Relay
from microservices.kit.http.app import create_app
from microservices.payment_service import api, messages, pay, store
from microservices.payment_service.settings import PaymentSettings
from microservices.payment_service.store import Charge

GROUP = "payment-service-group"
READS = (OrderCreated,)
WRITES = (PaymentCompleted,)


def charge(connection: Connection, event: Event) -> None:
    """Charge an order's total, unless it was charged before, and tell so."""
    order = ordered(event)
    tell(connection, event, store.charge_once(connection, order.order_id, order.total_cents))


def charge_without_protection(connection: Connection, event: Event) -> None:
    """Charge an order's total at each delivery: what INBOX=off shows."""
    order = ordered(event)
    tell(connection, event, store.charge_again(connection, order.order_id, order.total_cents))


def tell(connection: Connection, event: Event, charge: Charge) -> None:
    """Tell of a charge, in its transaction."""
    paid = PaymentCompleted.new(
        order_id=charge.order_id,
        payment_id=charge.payment_id,
        amount_cents=charge.amount_cents,
        items=ordered(event).items,
    )
    outbox.add(connection, messages.outbox, paid, cause=event.cause)


def ordered(event: Event) -> OrderCreated:
    """Return what was ordered."""
    assert isinstance(event.data, OrderCreated)
    return event.data


def build(settings: PaymentSettings) -> FastAPI:
    """Compose payment-service 2."""
    database, drain = open_database("payment-service", settings), Drain()
    client, slots = client_settings(settings), Slots(settings.payment_slots)
    producer = EventProducer(client)
    relay = Relay(database, producer, outbox=messages.outbox, leases=messages.leases)
    protected = settings.inbox == "on"

    async def work(_: Event) -> None:
        await pay.work(settings.payment_seconds)

    handling = Handling(
        group=GROUP,
        handlers=[Handler(OrderCreated, charge if protected else charge_without_protection, work)],
        database=database,
        producer=producer,
        inbox=messages.inbox if protected else None,
        tries=settings.retry_tries,
        first_wait=settings.retry_backoff_seconds,
        slots=slots,
        on_commit=relay.wake,
    )
    topics = Topics(client, reads=READS, writes=WRITES)
    consumer = EventConsumer(client, handling, topics=topics, drain=drain)
    app = create_app(
        service="payment-service",
        version="2",
        settings=settings,
        database=database,
        create_tables=messages.create_tables,
        routers=[pay.router, api.router],
        parts=[producer, relay, consumer],
        needs=[topics.unavailable, consumer.unavailable],
        drain=drain,
    )
    app.state.slots = slots
    return app
