"""notification-service 1: sends each notification that is requested, once. It publishes no event."""

from fastapi import FastAPI
from sqlalchemy import Connection

from microservices.kit.events.app import create_event_app
from microservices.kit.events.consumer_config import ConsumerConfig, Handler
from microservices.kit.events.envelope import Event
from microservices.kit.events.event_types import NotificationRequested
from microservices.kit.settings import Settings
from microservices.notification_service import api, store

CONSUMES = (NotificationRequested,)


def notify(connection: Connection, event: Event) -> None:
    """Notify a customer, by a row in a table.

    A real service would send an e-mail, with the order's id and the template as the key that makes it send one.
    """
    request = event.data
    assert isinstance(request, NotificationRequested)
    store.add(
        connection,
        order_id=request.order_id,
        user_id=request.user_id,
        template=request.template,
        requested_at=event.timestamp,
    )


def build(settings: Settings) -> FastAPI:
    """Compose notification-service 1."""
    return create_event_app(
        service="notification-service",
        version="1",
        settings=settings,
        create_tables=store.create_tables,
        routers=[api.router],
        consumes=ConsumerConfig(
            "notification-service-group", [Handler(NotificationRequested, notify)]
        ),
    )
