"""Notifications in the database."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Column, Connection, MetaData, String, Table, select

from microservices.kit.columns import POSITION
from microservices.kit.http.pages import Page, PageRequest
from microservices.kit.page_query import paged, read_page

metadata = MetaData()

notifications = Table(
    "notifications",
    metadata,
    Column("position", POSITION, primary_key=True),
    Column("order_id", String(64), nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("template", String(64), nullable=False),
    Column("requested_at", String(32), nullable=False),
)
requested = Table(
    "requested",
    metadata,
    Column("order_id", String(64), primary_key=True),
    Column("template", String(64), primary_key=True),
)
"""What was requested: a request that is published again, in an event with a new id, is the same notification."""

PAGE = paged(select(notifications), notifications.c.position)


def create_tables(connection: Connection) -> None:
    """Create what is missing."""
    metadata.create_all(connection)


def add(connection: Connection, **notification: str) -> None:
    """Insert a notification, a value for each column, unless the order has one from this template."""
    row = {name: notification[name] for name in ("order_id", "template")}
    if connection.execute(select(requested).filter_by(**row)).first() is not None:
        return
    connection.execute(requested.insert().values(row))
    connection.execute(notifications.insert().values(notification))


def page_of_notifications(
    connection: Connection, page: PageRequest, wire: Callable[[Mapping[Any, Any]], object]
) -> Page:
    """Return one page of notifications, oldest first."""
    return read_page(connection, page, PAGE, wire)
