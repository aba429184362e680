"""The view in the database: the numbers that events add to.

A sum is the same in any order, and each order adds once per type of event, however many events of that type are
published for it. So the view is a function of the set of events: a service that consumes them again, from the start,
gets the same view.
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
counted = Table(
    "counted",
    metadata,
    Column("order_id", String(64), primary_key=True),
    Column("event_type", String(32), primary_key=True),
)
"""What was counted. The inbox refuses an event that is delivered again; this table refuses what is published again,
in an event with a new id."""

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


def is_new(connection: Connection, order_id: str, event_type: str) -> bool:
    """Store that an order's event is counted; false when one of this type was counted before."""
    row = {"order_id": order_id, "event_type": event_type}
    if connection.execute(select(counted).filter_by(**row)).first() is not None:
        return False
    connection.execute(counted.insert().values(row))
    return True


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
    sums = Counter(dict(connection.execute(select(totals.c.name, totals.c.value)).all()))
    newest = connection.execute(select(func.max(created.c.at))).scalar() or 0.0
    recent = select(func.count()).where(created.c.at > newest - MINUTE)
    return View(
        orders=sums["orders"],
        successful=sums["successful"],
        failed=sums["failed"],
        revenue_cents=sums["revenue"],
        last_minute=connection.execute(recent).scalar_one(),
    )
