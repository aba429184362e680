"""Users in the database. Every statement names its columns: version 2 adds one that version 1 does not use."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Column, Connection, MetaData, Select, String, Table, func, select

from microservices.kit.columns import POSITION
from microservices.kit.http.pages import Page, PageRequest
from microservices.kit.page_query import paged, read_page
from microservices.user_service.model import EXAMPLES

metadata = MetaData()

users = Table(
    "users",
    metadata,
    Column("position", POSITION, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
)


def create_tables(connection: Connection) -> None:
    """Create what is missing, and put the example users into an empty table."""
    metadata.create_all(connection)
    if not connection.scalar(select(func.count()).select_from(users)):
        rows = [{"id": id, "name": name} for id, name in EXAMPLES.items()]
        connection.execute(users.insert(), rows)


def page_of_users(
    connection: Connection, page: PageRequest, table: Table, *columns: Column[Any]
) -> Page:
    """Return these columns of one page of users, in the order of creation."""
    names = [column.name for column in columns]

    def wire(row: Mapping[Any, Any]) -> dict[str, Any]:
        return {name: row[name] for name in names}

    return read_page(connection, page, page_of(table, *columns), wire)


@cache
def page_of(table: Table, *columns: Column[Any]) -> Select[Any]:
    """Return the statement that reads these columns of a version's table."""
    return paged(select(table.c.position, *columns), table.c.position)


def add_user(connection: Connection, table: Table, user: dict[str, Any]) -> None:
    """Insert a user: a value for each column that the version uses."""
    connection.execute(table.insert().values(user))
