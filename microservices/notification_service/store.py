"""Notifications in the database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Connection, Integer, MetaData, Row, String, Table, select

metadata = MetaData()

notifications = Table(
    "notifications",
    metadata,
    Column("position", Integer, primary_key=True),
    Column("order_id", String(64), nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("template", String(64), nullable=False),
    Column("requested_at", String(32), nullable=False),
)


def create_tables(connection: Connection) -> None:
    """Create what is missing."""
    metadata.create_all(connection)


def add(connection: Connection, **notification: str) -> None:
    """Insert a notification: a value for each column."""
    connection.execute(notifications.insert().values(notification))


def all_notifications(connection: Connection) -> Sequence[Row[Any]]:
    """Return every notification, oldest first."""
    return connection.execute(select(notifications).order_by(notifications.c.position)).all()
