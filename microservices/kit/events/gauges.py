"""The gauges of a service with events: how many wait, for how long, and what Kafka refused."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from math import nan
from typing import NamedTuple

from prometheus_client import Gauge
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from microservices.kit.database import Database
from microservices.kit.events import outbox
from microservices.kit.events.dead_letter_office import DeadLetterOffice
from microservices.kit.events.stalls import Stalls
from microservices.kit.http.metrics import Metrics


class GaugeOf(NamedTuple):
    """A number in a service's database, which is read at each `GET /metrics`."""

    name: str
    meaning: str
    read: Callable[[Connection], float]


def add_gauges(
    metrics: Metrics,
    *,
    database: Database,
    stalls: Stalls,
    dead_letters: DeadLetterOffice,
    publishes: bool,
    own: Sequence[GaugeOf] = (),
) -> None:
    """Add `deliveries_waiting_seconds`, `dead_letters_refused` and, for a service that publishes, `outbox_events`.

    `own` are the service's own.
    """
    waiting = Gauge(
        "deliveries_waiting_seconds",
        "Longest wait of a message, or of the relay, that cannot go on",
        registry=metrics.registry,
    )
    waiting.set_function(stalls.seconds)
    _from_database(
        metrics, "dead_letters_refused", "Dead letters that Kafka refuses", dead_letters.kept
    )
    waiting_events = GaugeOf("outbox_events", "Events that are not in Kafka yet", outbox.count)
    for name, meaning, read in (*([waiting_events] if publishes else []), *own):
        _from_database(metrics, name, meaning, partial(database.read, read))


def _from_database(
    metrics: Metrics, name: str, meaning: str, read: Callable[[], Awaitable[float]]
) -> None:
    gauge = Gauge(name, meaning, registry=metrics.registry)

    async def refresh() -> None:
        try:
            gauge.set(await read())
        except SQLAlchemyError:  # the database does not answer
            gauge.set(nan)

    metrics.refresh.append(refresh)
