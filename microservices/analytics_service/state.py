"""The state of each order: what is known of it, whatever the order in which its events are read.

Of several events that report the same thing the earliest one counts. So an event that is delivered again, or that is
published again under another id, changes nothing, and the state is a function of the set of events.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    func,
    select,
)

from microservices.kit.events.envelope import Event
from microservices.kit.events.event_types import (
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    PaymentCompleted,
    PaymentRefunded,
)
from microservices.kit.http.pages import Page, PageRequest
from microservices.kit.page_query import paged, read_page
from microservices.kit.wire import from_cents

metadata = MetaData()

orders = Table(
    "order_states",
    metadata,
    Column("position", Integer, primary_key=True),
    Column("order_id", String(64), nullable=False, unique=True),
    Column("user_id", String(64), index=True),
    Column("total_cents", BigInteger),
    # When each of these happened, in unix seconds. Empty: it has not, as far as is known.
    Column("created_at", Float, index=True),
    Column("completed_at", Float),
    Column("cancelled_at", Float),
    Column("charged_at", Float),
    Column("charged_cents", BigInteger),
    Column("refunded_at", Float),
    Column("refunded_cents", BigInteger),
)

HISTORY = paged(select(orders).where(orders.c.user_id.is_not(None)), orders.c.position)

MINUTE = 60.0

State = Mapping[str, Any]
"""A row of `orders`."""


class Moment(NamedTuple):
    """Something that happened to an order, and what it adds to which sum."""

    at: float
    sum: str
    value: int


def reported(event: Event) -> dict[str, Any]:
    """Return the columns that an event fills, the time first; none for an event that adds to no sum."""
    at, data = max(0.0, event.time), event.data  # no shop is older than the epoch
    match data:
        case OrderCreated():
            return {"created_at": at, "total_cents": data.total_cents, "user_id": data.user_id}
        case OrderConfirmed():
            return {"completed_at": at}
        case OrderCancelled():
            return {"cancelled_at": at}
        case PaymentCompleted():
            return {"charged_at": at, "charged_cents": data.amount_cents}
        case PaymentRefunded():
            return {"refunded_at": at, "refunded_cents": data.amount_cents}
        case _:
            return {}


def merged(state: State, columns: Mapping[str, Any]) -> State:
    """Return the state of an order after an event that fills these columns: the earliest report counts."""
    known = tuple(state.get(name) for name in columns)
    if not columns or (known[0] is not None and known <= tuple(columns.values())):
        return state
    return {**state, **columns}


def end_of(state: State) -> tuple[float, str] | None:
    """Return when an order ended, and as what: its first end, if there could be two."""
    ends = [(state["completed_at"], "completed"), (state["cancelled_at"], "cancelled")]
    return min((end for end in ends if end[0] is not None), default=None)


def moments(state: State) -> Iterator[Moment]:
    """Yield what the sums contain of an order.

    A charge counts when it was charged, and its refund when it was refunded. A refund of what was never charged counts
    nowhere.
    """
    if state["created_at"] is not None:
        yield Moment(state["created_at"], "orders", 1)
    if end := end_of(state):
        yield Moment(end[0], "successful" if end[1] == "completed" else "failed", 1)
    if state["charged_at"] is not None:
        yield Moment(state["charged_at"], "revenue_cents", state["charged_cents"])
        if state["refunded_at"] is not None:
            refunded = min(state["refunded_cents"], state["charged_cents"])
            yield Moment(state["refunded_at"], "revenue_cents", -refunded)


def learn(connection: Connection, event: Event) -> list[Moment]:
    """Store what an event reports, and return what the sums have to add for it; nothing when it is known."""
    columns = reported(event)
    this = orders.c.order_id == event.data.order_id
    row = connection.execute(select(orders).where(this)).mappings().first() if columns else None
    before: State = dict(row) if row else dict.fromkeys(orders.c.keys())
    after = merged(before, columns)
    if after is before:
        return []
    if row is None:
        connection.execute(orders.insert().values(order_id=event.data.order_id, **columns))
    else:
        connection.execute(orders.update().where(this).values(columns))
    old, new = Counter(moments(before)), Counter(moments(after))
    corrected = [Moment(at, name, -value) for at, name, value in (old - new).elements()]
    return [*corrected, *(new - old).elements()]


def count_last_minute(connection: Connection) -> int:
    """Return how many orders were made within a minute before the newest one."""
    newest = connection.execute(select(func.max(orders.c.created_at))).scalar() or 0.0
    recent = select(func.count()).where(orders.c.created_at > newest - MINUTE)
    return connection.execute(recent).scalar_one()


def page_of_history(
    connection: Connection,
    user_id: str,
    page: PageRequest,
    wire: Callable[[Mapping[Any, Any]], object],
) -> Page:
    """Return one page of a user's orders, in the order in which they became known."""
    return read_page(connection, page, HISTORY.where(orders.c.user_id == user_id), wire)


def wire(state: State) -> dict[str, Any]:
    """Return the wire form of an order in a history."""
    end = end_of(state)
    return {
        "orderId": state["order_id"],
        "status": end[1] if end else "pending",
        "total": from_cents(state["total_cents"]),
        "charged": from_cents(state["charged_cents"] or 0),
        "refunded": from_cents(state["refunded_cents"] or 0),
        "createdAt": iso(state["created_at"]),
    }


def iso(seconds: float) -> str:
    """Return unix seconds as ISO 8601 in UTC."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
