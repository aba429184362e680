"""The application of a service that exchanges events: `create_app`, and around it database, Kafka, consumer, relay."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from multiprocessing import current_process

from fastapi import APIRouter, FastAPI
from sqlalchemy import Connection, Table

from microservices.kit.database import open_database
from microservices.kit.drain import Drain
from microservices.kit.events import dead_letter_office, inbox, lease, outbox
from microservices.kit.events.consumer import EventConsumer
from microservices.kit.events.consumer_config import ConsumerConfig
from microservices.kit.events.dead_letter_office import DeadLetterOffice
from microservices.kit.events.delivery import Dependencies
from microservices.kit.events.event_types import Data
from microservices.kit.events.gauges import GaugeOf, add_gauges
from microservices.kit.events.kafka import client_settings
from microservices.kit.events.periodic import Periodic, Task
from microservices.kit.events.producer import EventProducer
from microservices.kit.events.relay import Relay
from microservices.kit.events.stalls import Stalls
from microservices.kit.events.topics import Topics
from microservices.kit.http.app import create_app
from microservices.kit.points import FaultPoints, Points
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
    requests: Sequence[type[Data]] = (),
    points: Points | None = None,
    parts: Sequence[AbstractAsyncContextManager[object]] = (),
) -> FastAPI:
    """Compose one version of a service that consumes events, and may publish some.

    Its database gets the tables of the inbox, of refused dead letters and, for a service that publishes, of
    the outbox and its lease. Routes that publish find `relay` and `producer` on `request.app.state`; `relay` is absent
    from a service that publishes nothing. `tasks` are what the service does by itself, and `/metrics` shows `gauges`.
    `requests` are the events that follow from a request, whose route passes the point `committed`; `points` are those
    of `open_points`, when a task needs them too. `parts` of its own run as long as the service does.

    Raises:
        BadSetting: `KAFKA_BOOTSTRAP` is not set, or the database cannot be opened.
    """
    client, database, drain = client_settings(settings), open_database(service, settings), Drain()
    producer, stalls = EventProducer(client), Stalls()
    points = points or open_points(settings)
    by_itself = [task.name for task in tasks]
    consumed = [kind.__name__ for kind in consumes.kinds]
    points.describe(
        [kind.topic for kind in consumes.kinds],
        {
            "begun": [*consumed, *by_itself],
            "committed": [*consumed, *by_itself, *(kind.__name__ for kind in requests)],
            "sent": [kind.__name__ for kind in publishes],
        },
    )
    topics = Topics(client, consumes=consumes.kinds, publishes=publishes)
    dead_letters = DeadLetterOffice(database, producer, topics)
    relay = None
    if publishes:
        holder = f"{settings.instance}/{current_process().name}"  # of several workers each has one
        relay = Relay(database, producer, dead_letters, stalls=stalls, holder=holder, points=points)
    on_commit = relay.wake if relay else lambda: None
    dependencies = Dependencies(database, dead_letters, on_commit, stalls, points)
    consumer = EventConsumer(client, consumes, dependencies, topics=topics, drain=drain)
    listening = [topics.unavailable, consumer.unavailable]
    periodic = [
        Periodic(task, database, listening, dependencies.on_commit, points=points) for task in tasks
    ]
    running: list[AbstractAsyncContextManager[object]] = [
        *(producer, topics, dead_letters),
        *([relay] if relay else []),
        consumer,
        *periodic,
        *parts,
    ]
    own_tables = [inbox.table, dead_letter_office.table]
    own_tables += [outbox.table, lease.table] if relay else []
    needs = [*listening, stalls.unavailable, *(task.unavailable for task in periodic)]
    needs += [relay.unavailable] if relay else []
    app = create_app(
        service=service,
        version=version,
        settings=settings,
        database=database,
        create_tables=lambda connection: _create(connection, create_tables, own_tables),
        routers=routers,
        parts=running,
        needs=needs,
        drain=drain,
        points=points,
    )
    add_gauges(
        app.state.metrics,
        database=database,
        stalls=stalls,
        dead_letters=dead_letters,
        publishes=bool(publishes),
        own=gauges,
    )
    app.state.topics, app.state.producer, app.state.relay = topics, producer, relay
    return app


def open_points(settings: Settings) -> Points:
    """Return the points of a service: with `FAULTS=on` they can be held, and end it."""
    return FaultPoints() if settings.faults == "on" else Points()


def _create(
    connection: Connection, create_tables: Callable[[Connection], None], tables: Sequence[Table]
) -> None:
    create_tables(connection)
    for table in tables:
        table.create(connection, checkfirst=True)
