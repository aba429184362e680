"""What order-service keeps of each saga: how long it waits, and the cause of what it publishes by itself."""

import time
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Float,
    MetaData,
    Row,
    String,
    Table,
    func,
    or_,
    select,
    true,
)

from microservices.kit.events.envelope import Cause
from microservices.kit.points import EVERY
from microservices.order_service.store import orders

sagas = Table(
    "sagas",
    MetaData(),
    Column("order_id", String(64), primary_key=True),
    # Unix seconds. An order that is pending then is cancelled.
    Column("deadline", Float, nullable=False, index=True),
    Column("correlation_id", String(128), nullable=False),
    Column("created_event_id", String(64), nullable=False),
    Column("traceparent", String(64), nullable=False),
)


def new_row(order_id: str, *, seconds: float, cause: Cause) -> dict[str, Any]:
    """Return the row of a new saga that may take `seconds`. `cause` is that of the events that follow."""
    return {
        "order_id": order_id,
        "deadline": time.time() + seconds,
        "correlation_id": cause.correlation_id,
        "created_event_id": cause.event_id,
        "traceparent": cause.traceparent,
    }


def cause_of(row: Row[Any]) -> Cause:
    """Return the cause of what follows from a saga's deadline."""
    return Cause(row.correlation_id, row.created_event_id, row.traceparent)


def overdue(connection: Connection, most: int, *, also: Collection[str] = ()) -> Sequence[Row[Any]]:
    """Return sagas whose order is pending after their deadline, the oldest first.

    The deadline of the orders in `also` counts as passed.
    """
    late = sagas.c.deadline < time.time()
    if also:
        late = or_(late, true() if EVERY in also else sagas.c.order_id.in_(also))
    found = select(sagas).join(orders, orders.c.id == sagas.c.order_id)
    found = found.where(orders.c.status == "pending", late)
    return connection.execute(found.order_by(sagas.c.deadline).limit(most)).all()


def count_pending(connection: Connection) -> int:
    """Return the number of orders that have not ended."""
    return connection.execute(
        select(func.count()).select_from(orders).where(orders.c.status == "pending")
    ).scalar_one()


def oldest_pending_seconds(connection: Connection, *, timeout: float) -> float:
    """Return how long the oldest order that has not ended has been waiting, in seconds; 0 when all have."""
    pending = select(func.min(sagas.c.deadline)).join(orders, orders.c.id == sagas.c.order_id)
    deadline = connection.execute(pending.where(orders.c.status == "pending")).scalar_one()
    return 0.0 if deadline is None else max(0.0, time.time() - deadline + timeout)
