"""Charges and refunds in the database: one row per order, so that no order is charged, or refunded, twice."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    func,
    select,
)

from microservices.kit.events.envelope import Cause

metadata = MetaData()

charges = Table(
    "charges",
    metadata,
    Column("position", Integer, primary_key=True),
    Column("order_id", String(64), nullable=False, index=True),
    # The order id again, so that a second charge is refused; empty for a charge without protection.
    Column("once", String(64), unique=True),
    Column("payment_id", String(64), nullable=False),
    Column("amount_cents", BigInteger, nullable=False),
)

refunds = Table(
    "refunds",
    metadata,
    Column("order_id", String(64), primary_key=True),
    Column("amount_cents", BigInteger, nullable=False),
    # How often the bank refused so far, when it is asked again, and when it paid (Unix seconds).
    Column("attempts", Integer, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("done_at", Float),
    # Why the refund is owed: the cause of the event that reports it.
    Column("correlation_id", String(128), nullable=False),
    Column("caused_by", String(64)),
    Column("traceparent", String(64), nullable=False),
)
"""What is owed to customers, from the moment it is owed; a row stays when it is paid."""


@dataclass(frozen=True)
class Charge:
    """Money taken for one order."""

    payment_id: str
    order_id: str
    amount_cents: int


def create_tables(connection: Connection) -> None:
    """Create what is missing."""
    metadata.create_all(connection)


def find_charge(connection: Connection, order_id: str) -> Charge | None:
    """Return the charge of an order, if there is one."""
    row = connection.execute(select(charges).where(charges.c.order_id == order_id)).first()
    return Charge(row.payment_id, row.order_id, row.amount_cents) if row else None


def charge_once(connection: Connection, order_id: str, amount_cents: int) -> Charge:
    """Charge an order, unless it was charged before; return the one charge it has."""
    if charged := find_charge(connection, order_id):
        return charged
    charge = Charge(str(uuid4()), order_id, amount_cents)
    insert_once(connection, charge)
    return charge


def insert_once(connection: Connection, charge: Charge) -> None:
    """Insert the charge of an order.

    Raises:
        IntegrityError: The order was charged before.
    """
    connection.execute(charges.insert().values(vars(charge) | {"once": charge.order_id}))


def charge_again(connection: Connection, order_id: str, amount_cents: int) -> Charge:
    """Charge an order, whether or not it was charged before."""
    charge = Charge(str(uuid4()), order_id, amount_cents)
    connection.execute(charges.insert().values(vars(charge)))
    return charge


def all_charges(connection: Connection) -> Sequence[Row[str, int]]:
    """Return (order id, cents) of every charge, oldest first."""
    statement = select(charges.c.order_id, charges.c.amount_cents).order_by(charges.c.position)
    return connection.execute(statement).all()


def owe(connection: Connection, order_id: str, cause: Cause) -> None:
    """Owe a customer the charge of an order."""
    charge = find_charge(connection, order_id)
    assert charge is not None  # the state was `charged`
    row = {
        "order_id": order_id,
        "amount_cents": charge.amount_cents,
        "attempts": 0,
        "next_at": time.time(),
        "correlation_id": cause.correlation_id,
        "caused_by": cause.event_id,
        "traceparent": cause.traceparent,
    }
    connection.execute(refunds.insert().values(row))


def due_refunds(connection: Connection, most: int) -> Sequence[Row[Any]]:
    """Return refunds whose next attempt is due, those that have waited longest first."""
    due = (refunds.c.done_at.is_(None)) & (refunds.c.next_at <= time.time())
    return connection.execute(
        select(refunds).where(due).order_by(refunds.c.next_at).limit(most)
    ).all()


def pay_back(connection: Connection, order_id: str) -> None:
    """Note that a refund is paid."""
    _change_refund(connection, order_id, done_at=time.time())


def postpone(connection: Connection, order_id: str, *, attempts: int, seconds: float) -> None:
    """Note that the bank refused a refund, and that it is asked again in `seconds`."""
    _change_refund(connection, order_id, attempts=attempts, next_at=time.time() + seconds)


def _change_refund(connection: Connection, order_id: str, **values: float) -> None:
    connection.execute(refunds.update().where(refunds.c.order_id == order_id).values(values))


def done_refunds(connection: Connection) -> Sequence[Row[str, int]]:
    """Return (order id, cents) of every refund that is paid, in the order in which they were paid."""
    paid = select(refunds.c.order_id, refunds.c.amount_cents).where(refunds.c.done_at.is_not(None))
    return connection.execute(paid.order_by(refunds.c.done_at)).all()


def owed_cents(connection: Connection) -> int:
    """Return the sum of what is owed and not paid."""
    owed = select(func.coalesce(func.sum(refunds.c.amount_cents), 0))
    return int(connection.execute(owed.where(refunds.c.done_at.is_(None))).scalar_one())


def count_owed(connection: Connection) -> int:
    """Return the number of refunds that are owed and not paid."""
    owed = select(func.count()).where(refunds.c.done_at.is_(None))
    return connection.execute(owed.select_from(refunds)).scalar_one()
