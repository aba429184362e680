"""The effect of notification-service 1, on a database."""

from sqlalchemy import create_engine, select

from microservices.kit.events.envelope import Cause, Event
from microservices.kit.events.event_types import NotificationRequested
from microservices.notification_service import store, v1


def requested(event_id: str, template: str) -> Event:
    """A request for order-1, in an event with this id."""
    data = NotificationRequested.new(order_id="order-1", user_id="user-1", template=template)
    return Event(event_id, "2026-11-27T12:00:00Z", data, Cause("click", event_id, ""))


def test_a_request_published_again_notifies_once() -> None:
    with create_engine("sqlite://").connect() as connection:
        store.create_tables(connection)
        v1.notify(connection, requested("event-1", "order-completed"))
        v1.notify(connection, requested("event-2", "order-completed"))
        v1.notify(connection, requested("event-3", "order-shipped"))
        templates = connection.execute(select(store.notifications.c.template)).scalars().all()
    assert templates == ["order-completed", "order-shipped"]
