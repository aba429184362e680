"""The view in the database: the numbers that events add to.

A sum is the same in any order, and the inbox lets each event add once. So the view is a function of
the set of events: a service that consumes them again, from the start, gets the same view.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, Column, Connection, Float, MetaData, String, Table, func, select

metadata = MetaData()

totals = Table(
    "totals",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
created = Table(
    "created", metadata, Column("order_id", String(64)), Column("at", Float, index=True)
)

MINUTE = 60.0


@dataclass(frozen=True)
class View:
    """The numbers of all orders. `last_minute`: those made within a minute before the newest one."""

    orders: int
    successful: int
    failed: int
    revenue_cents: int
    last_minute: int


def create_tables(connection: Connection) -> None:
    """Create what is missing."""
    metadata.create_all(connection)


def add(connection: Connection, name: str, value: int) -> None:
    """Add `value` to a total."""
    more = totals.update().where(totals.c.name == name).values(value=totals.c.value + value)
    if connection.execute(more).rowcount == 0:
        connection.execute(totals.insert().values(name=name, value=value))


def add_created(connection: Connection, order_id: str, timestamp: str) -> None:
    """Store when an order was made."""
    at = datetime.fromisoformat(timestamp).timestamp()
    connection.execute(created.insert().values(order_id=order_id, at=at))


def view(connection: Connection) -> View:
    """Return the view as it is now."""
    sums = Counter(dict(connection.execute(select(totals.c.name, totals.c.value)).tuples().all()))
    newest = connection.execute(select(func.max(created.c.at))).scalar() or 0.0
    recent = select(func.count()).where(created.c.at > newest - MINUTE)
    return View(
        orders=sums["orders"],
        successful=sums["successful"],
        failed=sums["failed"],
        revenue_cents=sums["revenue"],
        last_minute=connection.execute(recent).scalar_one(),
    )
