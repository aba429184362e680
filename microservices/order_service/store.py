"""Orders in the database. Items are stored as the JSON of an answer."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    MetaData,
    Row,
    String,
    Table,
    Text,
    select,
)

from microservices.kit.columns import POSITION
from microservices.kit.http.idempotency import answers_table
from microservices.kit.http.pages import Page, PageRequest
from microservices.kit.items import Item
from microservices.kit.page_query import paged, read_page
from microservices.kit.wire import encode, from_cents
from microservices.order_service import model
from microservices.order_service.model import NewOrder

metadata = MetaData()

orders = Table(
    "orders",
    metadata,
    Column("position", POSITION, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("user_id", String(64), nullable=False),
    Column("items", Text, nullable=False),
    Column("total_cents", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("cancellation_reason", Text),
)

answers = answers_table(metadata)

PAGE = paged(select(orders), orders.c.position)


def create_tables(connection: Connection) -> None:
    """Create what is missing."""
    metadata.create_all(connection)


def new_row(new: NewOrder, *, seed: int, key: str | None) -> dict[str, Any]:
    """Return the row of a new order; its status is not decided yet."""
    return {
        "id": model.order_id(seed=seed, user_id=new.user_id, key=key),
        "user_id": new.user_id,
        "items": items_column(new.items),
        "total_cents": model.sum_of(new.items),
        "created_at": model.now(),
    }


def end_order(
    connection: Connection, id: str, *, status: model.Status, reason: str | None = None
) -> bool:
    """End a pending order; false when it had ended before."""
    pending = (orders.c.id == id) & (orders.c.status == "pending")
    ended = {"status": status, "cancellation_reason": reason}
    return connection.execute(orders.update().where(pending).values(ended)).rowcount == 1


def set_status(connection: Connection, id: str, status: str) -> None:
    """Set the status of an order."""
    connection.execute(orders.update().where(orders.c.id == id).values(status=status))


def set_reason(connection: Connection, id: str, reason: str) -> None:
    """Set why an order was cancelled."""
    connection.execute(orders.update().where(orders.c.id == id).values(cancellation_reason=reason))


def find_order(connection: Connection, id: str) -> Row[Any] | None:
    """Return one order, if there is one."""
    return connection.execute(select(orders).where(orders.c.id == id)).first()


def page_of_orders(
    connection: Connection, page: PageRequest, wire: Callable[[Mapping[Any, Any]], object]
) -> Page:
    """Return one page of orders, oldest first."""
    return read_page(connection, page, PAGE, wire)


def items_column(items: list[Item]) -> str:
    """Return the value of the `items` column."""
    wire = [
        {
            "productId": item.product_id,
            "quantity": item.quantity,
            "price": from_cents(item.price_cents),
        }
        for item in items
    ]
    return encode(wire).decode()
