"""The shelf in the database, and what is set aside for each order.

`0 <= reserved <= on_hand` is a constraint of the database: a defect that would sell more than there is fails its
transaction.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    MetaData,
    Row,
    String,
    Table,
    func,
    select,
)

from microservices.kit.events import participant
from microservices.kit.items import Item

log = logging.getLogger(__name__)

metadata = MetaData()

products = Table(
    "products",
    metadata,
    Column("product_id", String(64), primary_key=True),
    # As STOCK has stated it last; the shelf has changed since.
    Column("stated", BigInteger, nullable=False),
    Column("on_hand", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    CheckConstraint("0 <= reserved AND reserved <= on_hand", name="never_more_than_there_is"),
)

reservations = Table(
    "reservations",
    metadata,
    Column("order_id", String(64), primary_key=True),
    Column("product_id", String(64), primary_key=True),
    Column("quantity", BigInteger, nullable=False),
)

OPEN = ("reserved",)
"""The states in which items are set aside and neither sold nor put back."""


def create_tables(connection: Connection, stock: Mapping[str, int]) -> None:
    """Create what is missing, and put what STOCK states on the shelf.

    A number that has changed since the last start adds its difference: setting the shelf to it would sell items twice
    after each restart. What is reserved stays on the shelf.
    """
    metadata.create_all(connection)
    participant.states.create(connection, checkfirst=True)
    known = {row.product_id: row for row in connection.execute(select(products))}
    for product_id, stated in stock.items():
        row = known.get(product_id)
        if row is None:
            values = {"stated": stated, "on_hand": stated, "reserved": 0}
            connection.execute(products.insert().values(product_id=product_id, **values))
        elif row.stated != stated:
            on_hand = max(row.reserved, row.on_hand + stated - row.stated)
            changed = {"stated": stated, "on_hand": on_hand}
            this = products.c.product_id == product_id
            connection.execute(products.update().where(this).values(changed))
            log.info("stock changed", extra={"product": product_id, **changed})


def quantities(items: Iterable[Item]) -> dict[str, int]:
    """Return how many of each product items are: lines with the same product add up."""
    total: Counter[str] = Counter()
    for item in items:
        total[item.product_id] += item.quantity
    return dict(total)


def missing(connection: Connection, wanted: Mapping[str, int]) -> str | None:
    """Return why the shelf cannot give what is wanted, `None` when it can."""
    shelf = {
        row.product_id: row.on_hand - row.reserved
        for row in connection.execute(select(products).where(products.c.product_id.in_(wanted)))
    }
    for product_id, quantity in wanted.items():
        if product_id not in shelf:
            return f"there is no product {product_id}"
        if shelf[product_id] < quantity:
            return f"{quantity} of {product_id} were ordered, {shelf[product_id]} are left"
    return None


def reserve(connection: Connection, order_id: str, wanted: Mapping[str, int]) -> None:
    """Set items aside for an order."""
    rows = [
        {"order_id": order_id, "product_id": product_id, "quantity": quantity}
        for product_id, quantity in wanted.items()
    ]
    connection.execute(reservations.insert(), rows)
    for product_id, quantity in wanted.items():
        _change(connection, product_id, reserved=quantity)


def release(connection: Connection, order_id: str) -> None:
    """Put the items of an order back."""
    for row in of_order(connection, order_id):
        _change(connection, row.product_id, reserved=-row.quantity)


def sell(connection: Connection, order_id: str) -> None:
    """Take the items of an order from the shelf."""
    for row in of_order(connection, order_id):
        _change(connection, row.product_id, reserved=-row.quantity, on_hand=-row.quantity)


def _change(connection: Connection, product_id: str, *, reserved: int, on_hand: int = 0) -> None:
    values = {
        "reserved": products.c.reserved + reserved,
        "on_hand": products.c.on_hand + on_hand,
    }
    connection.execute(products.update().where(products.c.product_id == product_id).values(values))


def of_order(connection: Connection, order_id: str) -> Sequence[Row[Any]]:
    """Return what was set aside for an order."""
    found = select(reservations).where(reservations.c.order_id == order_id)
    return connection.execute(found).all()


def shelf(connection: Connection) -> Sequence[Row[Any]]:
    """Return every product, by its name."""
    return connection.execute(select(products).order_by(products.c.product_id)).all()


def count_open(connection: Connection) -> int:
    """Return for how many orders items are set aside now."""
    states = participant.states
    held = select(func.count()).where(states.c.state.in_(OPEN))
    return connection.execute(held).scalar_one()
