"""The report: one line in the log, every REPORT_SECONDS, of one of the replicas."""

import logging
import time
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, Table, select

from microservices.analytics_service import panes, watermark
from microservices.analytics_service.settings import AnalyticsSettings
from microservices.analytics_service.state import iso
from microservices.analytics_service.windows import wire
from microservices.kit.database import insert_into
from microservices.kit.wire import from_cents

log = logging.getLogger(__name__)

metadata = MetaData()

reports = Table(
    "reports",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # The number of the last report: how often REPORT_SECONDS have passed since the epoch.
    Column("number", BigInteger, nullable=False),
)


def report(connection: Connection, settings: AnalyticsSettings) -> bool:
    """Log the sums, unless a replica has done so for this span of time; return that there is no more to do."""
    number = int(time.time() // settings.report_seconds)
    last = connection.execute(select(reports.c.number)).scalar()
    if last == number:
        return False
    if last is None:
        connection.execute(insert_into(reports), {"id": 1, "number": number})
    else:
        connection.execute(reports.update().values(number=number))
    log.info("report", extra=content(connection, settings))
    return False


def content(connection: Connection, settings: AnalyticsSettings) -> dict[str, Any]:
    """Return what a report holds: the sums so far, and the last window that was closed."""
    mark, size = watermark.find(connection), settings.window_seconds
    every = panes.windows(
        connection, size=size, step=size, pane=settings.pane_seconds, watermark=mark
    )
    closed = [window for window in every if window.closed]
    sums = panes.totals(connection)
    return {
        "watermark": None if mark is None else iso(mark),
        "totalRevenue": from_cents(sums["revenue_cents"]),
        "orderCount": sums["orders"],
        "successfulOrders": sums["successful"],
        "failedOrders": sums["failed"],
        "late": sums["late"],
        "window": wire(closed[-1]) if closed else None,
    }
