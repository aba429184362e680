"""The application of a service that exchanges events: `create_app`, and around it database, Kafka, consumer, relay."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from fastapi import APIRouter, FastAPI
from sqlalchemy import Connection, Table

from microservices.kit.database import open_database
from microservices.kit.drain import Drain
from microservices.kit.events import inbox, lease, outbox
from microservices.kit.events.consumer import EventConsumer
from microservices.kit.events.consumer_config import ConsumerConfig
from microservices.kit.events.delivery import Dependencies
from microservices.kit.events.event_types import Data
from microservices.kit.events.kafka import client_settings
from microservices.kit.events.periodic import Periodic, Task
from microservices.kit.events.producer import EventProducer
from microservices.kit.events.relay import Relay
from microservices.kit.events.topics import Topics
from microservices.kit.http.app import create_app
from microservices.kit.http.metrics import GaugeOf
from microservices.kit.settings import Settings


def create_event_app(
    *,
    service: str,
    version: str,
    settings: Settings,
    create_tables: Callable[[Connection], None],
    routers: Sequence[APIRouter],
    consumes: ConsumerConfig,
    publishes: Sequence[type[Data]] = (),
    tasks: Sequence[Task] = (),
    gauges: Sequence[GaugeOf] = (),
) -> FastAPI:
    """Compose one version of a service that consumes events, and may publish some.

    Its database gets the tables of the inbox and, for a service that publishes, of the outbox and its
    lease. Routes that publish find `relay` and `producer` on `request.app.state`; `relay` is absent
    from a service that publishes nothing. `tasks` are what the service does by itself.

    Raises:
        BadSetting: `KAFKA_BOOTSTRAP` is not set, or the database cannot be opened.
    """
    client, database, drain = client_settings(settings), open_database(service, settings), Drain()
    producer = EventProducer(client)
    relay = Relay(database, producer) if publishes else None
    topics = Topics(client, consumes=consumes.kinds, publishes=publishes)
    dependencies = Dependencies(database, producer, relay.wake if relay else lambda: None)
    consumer = EventConsumer(client, consumes, dependencies, topics=topics, drain=drain)
    listening = [topics.unavailable, consumer.unavailable]
    periodic = [Periodic(task, database, listening, dependencies.on_commit) for task in tasks]
    parts: list[AbstractAsyncContextManager[object]] = [
        producer,
        *([relay] if relay else []),
        consumer,
        *periodic,
    ]
    waiting = [GaugeOf("outbox_events", "Events that are not in Kafka yet", outbox.count)]
    own_tables = [inbox.table, *((outbox.table, lease.table) if relay else ())]
    app = create_app(
        service=service,
        version=version,
        settings=settings,
        database=database,
        create_tables=lambda connection: _create(connection, create_tables, own_tables),
        routers=routers,
        parts=parts,
        needs=[
            *listening,
            *([relay.unavailable] if relay else []),
            *(task.unavailable for task in periodic),
        ],
        gauges=[*(waiting if relay else []), *gauges],
        drain=drain,
    )
    app.state.topics, app.state.producer, app.state.relay = topics, producer, relay
    return app


def _create(
    connection: Connection, create_tables: Callable[[Connection], None], tables: Sequence[Table]
) -> None:
    create_tables(connection)
    for table in tables:
        table.create(connection, checkfirst=True)
