"""What is owed to customers, in the database: a row from the moment a refund is owed, which stays when it is paid."""

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Float, Integer, Row, String, Table, select
from sqlalchemy import func as sql

from microservices.kit.events.envelope import Cause
from microservices.payment_service.store import Charge, metadata

refunds = Table(
    "refunds",
    metadata,
    Column("order_id", String(64), primary_key=True),
    Column("amount_cents", BigInteger, nullable=False),
    # How often the bank refused so far, when it is asked again, and when it paid (Unix seconds).
    Column("attempts", Integer, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("done_at", Float),
    # The cause of the event that reports the refund.
    Column("correlation_id", String(128), nullable=False),
    Column("caused_by", String(64)),
    Column("traceparent", String(64), nullable=False),
)

OPEN = refunds.c.done_at.is_(None)


def owe(connection: Connection, charge: Charge, cause: Cause) -> None:
    """Owe a customer a charge."""
    row = {
        "order_id": charge.order_id,
        "amount_cents": charge.amount_cents,
        "attempts": 0,
        "next_at": time.time(),
        "correlation_id": cause.correlation_id,
        "caused_by": cause.event_id,
        "traceparent": cause.traceparent,
    }
    connection.execute(refunds.insert().values(row))


def due(connection: Connection, most: int) -> Sequence[Row[Any]]:
    """Return refunds whose next attempt is due, those that have waited longest first."""
    waiting = select(refunds).where(OPEN & (refunds.c.next_at <= time.time()))
    return connection.execute(waiting.order_by(refunds.c.next_at).limit(most)).all()


def pay(connection: Connection, order_id: str) -> None:
    """Note that a refund is paid."""
    _change(connection, order_id, done_at=time.time())


def postpone(connection: Connection, order_id: str, *, attempts: int, seconds: float) -> None:
    """Note that the bank refused a refund, and that it is asked again in `seconds`."""
    _change(connection, order_id, attempts=attempts, next_at=time.time() + seconds)


def _change(connection: Connection, order_id: str, **values: float) -> None:
    connection.execute(refunds.update().where(refunds.c.order_id == order_id).values(values))


def count_open(connection: Connection) -> int:
    """Return the number of refunds that are owed and not paid."""
    return connection.execute(select(sql.count()).select_from(refunds).where(OPEN)).scalar_one()
