"""analytics-service 2: the state of each order, sums by event time, and windows that late events correct.

Its group has a name of its own. So it can be built beside version 1, from the first event on, and take over when it has
read them all.
"""

from functools import partial

from fastapi import FastAPI
from sqlalchemy import Connection

from microservices.analytics_service import api, builds, panes, report, state, watermark, windows
from microservices.analytics_service.settings import AnalyticsSettings
from microservices.analytics_service.store import View
from microservices.kit.events.app import create_event_app
from microservices.kit.events.consumer_config import ConsumerConfig, Handler
from microservices.kit.events.envelope import Event
from microservices.kit.events.event_types import (
    InventoryFailed,
    InventoryReserved,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    PaymentCompleted,
    PaymentFailed,
    PaymentRefunded,
)
from microservices.kit.events.kafka import client_settings
from microservices.kit.events.log_ends import LogEnds
from microservices.kit.events.periodic import Task

CONSUMES = (
    *(OrderCreated, OrderConfirmed, OrderCancelled, PaymentCompleted, PaymentRefunded),
    *(PaymentFailed, InventoryReserved, InventoryFailed),
)

GROUP = "analytics-service-2-group"

ADVANCE_SECONDS, REPORT_LOOK_SECONDS = 0.25, 0.5


def consume(connection: Connection, event: Event) -> None:
    """Learn from an event, add what is new to the panes, and store how far its partition was read.

    There is no inbox: what an order's state contains already changes nothing.
    """
    learned = state.learn(connection, event)
    panes.add(connection, learned, watermark=watermark.find(connection))
    if event.place:
        watermark.note(connection, event.place, event.time)


def view(connection: Connection) -> View:
    """Return the numbers of all orders."""
    sums = panes.totals(connection)
    return View(
        orders=sums["orders"],
        successful=sums["successful"],
        failed=sums["failed"],
        revenue_cents=sums["revenue_cents"],
        last_minute=state.count_last_minute(connection),
    )


def create_tables(connection: Connection, number: int = 1) -> None:
    """Create what is missing, and empty what is there when this is the number of a new build."""
    for module in (state, panes, watermark, report, builds):
        module.metadata.create_all(connection)
    parts = (state.metadata, panes.metadata, watermark.metadata, report.metadata)
    builds.begin(connection, number, [table for part in parts for table in part.sorted_tables])


def build(settings: AnalyticsSettings) -> FastAPI:
    """Compose analytics-service 2."""
    ends = LogEnds(client_settings(settings), CONSUMES, GROUP)
    advance = partial(
        watermark.advance, ends=lambda: ends.latest, lateness=settings.lateness_seconds
    )
    return create_event_app(
        service="analytics-service",
        version="2",
        settings=settings,
        create_tables=partial(create_tables, number=settings.view_build),
        routers=[api.routes(view), windows.router],
        consumes=ConsumerConfig(GROUP, [Handler(kind, consume) for kind in CONSUMES], inbox=False),
        tasks=[
            Task(advance, every=ADVANCE_SECONDS),
            Task(partial(report.report, settings=settings), every=REPORT_LOOK_SECONDS),
        ],
        parts=[ends],
    )
