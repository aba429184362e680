"""Users in the database. Every statement names its columns: version 2 adds one that version 1 does not use."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Connection, Integer, MetaData, Row, String, Table, func, select

from microservices.user_service.model import EXAMPLES

metadata = MetaData()

users = Table(
    "users",
    metadata,
    Column("position", Integer, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
)


def create_tables(connection: Connection) -> None:
    """Create what is missing, and put the example users into an empty table."""
    metadata.create_all(connection)
    if not connection.scalar(select(func.count()).select_from(users)):
        rows = [{"id": id, "name": name} for id, name in EXAMPLES.items()]
        connection.execute(users.insert(), rows)


def all_users(connection: Connection, *columns: Column[Any]) -> Sequence[Row[Any]]:
    """Return these columns of every user, in the order of creation."""
    return connection.execute(select(*columns).order_by(users.c.position)).all()


def add_user(connection: Connection, table: Table, user: dict[str, Any]) -> None:
    """Insert a user: a value for each column that the version uses."""
    connection.execute(table.insert().values(user))
