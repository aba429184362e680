"""notification-service 1: sends what it is asked for, once. It tells nobody, so it has no outbox."""

from fastapi import FastAPI
from sqlalchemy import Connection

from microservices.kit.database import open_database
from microservices.kit.drain import Drain
from microservices.kit.events.consumer import EventConsumer
from microservices.kit.events.delivery import Handler, Handling
from microservices.kit.events.event_types import Event, NotificationRequested
from microservices.kit.events.kafka import Topics, client_settings
from microservices.kit.events.producer import EventProducer
from microservices.kit.http.app import create_app
from microservices.kit.settings import Settings
from microservices.notification_service import api, store

GROUP = "notification-service-group"
READS = (NotificationRequested,)


def notify(connection: Connection, event: Event) -> None:
    """Tell a customer. (A real one would hand it to a mail server, with the event's id as its key.)"""
    asked = event.data
    assert isinstance(asked, NotificationRequested)
    store.add(
        connection,
        order_id=asked.order_id,
        user_id=asked.user_id,
        template=asked.template,
        requested_at=event.timestamp,
    )


def build(settings: Settings) -> FastAPI:
    """Compose notification-service 1."""
    database, drain = open_database("notification-service", settings), Drain()
    client = client_settings(settings)
    producer = EventProducer(client)  # of dead letters
    handling = Handling(
        group=GROUP,
        handlers=[Handler(NotificationRequested, notify)],
        database=database,
        producer=producer,
        inbox=store.inbox,
    )
    topics = Topics(client, reads=READS)
    consumer = EventConsumer(client, handling, topics=topics, drain=drain)
    return create_app(
        service="notification-service",
        version="1",
        settings=settings,
        database=database,
        create_tables=store.create_tables,
        routers=[api.router],
        parts=[producer, consumer],
        needs=[topics.unavailable, consumer.unavailable],
        drain=drain,
    )
