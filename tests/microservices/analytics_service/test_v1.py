"""The effects of analytics-service 1, on a database."""

import itertools
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, create_engine

from microservices.analytics_service import store, v1
from microservices.analytics_service.store import View
from microservices.kit.events import inbox
from microservices.kit.events.consumer_config import ConsumerConfig
from microservices.kit.events.delivery import effect_once
from microservices.kit.events.envelope import Cause, Event
from microservices.kit.events.event_types import (
    Data,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    PaymentCompleted,
    PaymentRefunded,
)

EVENT_IDS = (f"event-{number}" for number in itertools.count())


@pytest.fixture
def connection() -> Iterator[Connection]:
    with create_engine("sqlite://").connect() as connection:
        store.create_tables(connection)
        inbox.table.create(connection)
        yield connection


def consume(connection: Connection, data: Data) -> None:
    """Have the effect of an event that reports `data`, under an id of its own."""
    (handler,) = (each for each in v1.HANDLERS if each.kind is type(data))
    event_id = next(EVENT_IDS)
    event = Event(event_id, "2026-11-27T12:00:00Z", data, Cause("click", event_id, ""))
    effect_once(connection, ConsumerConfig("a-group", v1.HANDLERS), handler, event)


def history(order_id: str, end: type[Data], *paid: type[Data]) -> list[Data]:
    """What happens to an order of 39.98 that ends like `end`."""
    created = OrderCreated.new(order_id=order_id, user_id="user-1", items=[], total_cents=3998)
    payments = [kind.new(order_id=order_id, payment_id="p", amount_cents=3998) for kind in paid]
    return [created, *payments, end.new(order_id=order_id)]


SOLD = history("sold", OrderConfirmed, PaymentCompleted)
REFUNDED = history("refunded", OrderCancelled, PaymentCompleted, PaymentRefunded)
BOTH = View(orders=2, successful=1, failed=1, revenue_cents=3998, last_minute=2)


def test_what_happens_to_each_order_is_counted(connection: Connection) -> None:
    for data in SOLD + REFUNDED:
        consume(connection, data)
    assert store.view(connection) == BOTH


@pytest.mark.parametrize("again", SOLD + REFUNDED, ids=lambda data: type(data).__name__)
def test_an_event_published_again_counts_once(connection: Connection, again: Data) -> None:
    for data in SOLD + REFUNDED:
        consume(connection, data)
    consume(connection, again)
    assert store.view(connection) == BOTH, "the second event has an id of its own"


def test_tables_of_an_earlier_release_keep_their_numbers(connection: Connection) -> None:
    store.counted.drop(connection)
    store.add(connection, "orders", 7)
    store.create_tables(connection)
    for data in SOLD:
        consume(connection, data)
    assert store.view(connection).orders == 8
