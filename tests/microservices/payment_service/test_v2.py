"""The effects of payment-service 2, on a database."""

import json

import pytest
from sqlalchemy import Connection, create_engine

from microservices.kit.events import outbox
from microservices.kit.events.envelope import Cause, Event
from microservices.kit.events.event_types import OrderCreated
from microservices.payment_service import store, v2


@pytest.fixture
def connection() -> Connection:
    connection = create_engine("sqlite://").connect()
    store.create_tables(connection)
    outbox.table.create(connection)
    return connection


def created(order_id: str, event_id: str) -> Event:
    """An order of 39.98, reported by an event with this id."""
    order = OrderCreated.new(order_id=order_id, user_id="user-1", items=[], total_cents=3998)
    return Event(event_id, "2026-11-27T12:00:00Z", order, Cause("click", event_id, ""))


def published(connection: Connection) -> list[str]:
    """The ids of the events in the outbox."""
    return [
        json.loads(record.value or b"")["eventId"] for _, record in outbox.first(connection, 10)
    ]


def test_an_order_that_is_reported_again_is_paid_by_one_event(connection: Connection) -> None:
    v2.charge(connection, created("order-1", "event-1"))
    v2.charge(connection, created("order-1", "event-2"))
    first, again = published(connection)
    assert first == again, "consumers have it in their inbox"
    v2.charge(connection, created("order-2", "event-3"))
    assert published(connection)[2] != first


def test_each_charge_without_protection_is_an_event_of_its_own(connection: Connection) -> None:
    for _ in range(2):
        v2.charge_without_protection(connection, created("order-1", "event-1"))
    first, second = published(connection)
    assert first != second
