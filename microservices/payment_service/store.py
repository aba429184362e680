"""Charges in the database: one row per order, so that no order is charged twice."""

from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import BigInteger, Column, Connection, MetaData, String, Table, select

from microservices.kit.columns import POSITION

metadata = MetaData()

charges = Table(
    "charges",
    metadata,
    Column("position", POSITION, primary_key=True),
    Column("order_id", String(64), nullable=False, index=True),
    # The order id again, so that a second charge is refused; empty for a charge without protection.
    Column("once", String(64), unique=True),
    Column("payment_id", String(64), nullable=False),
    Column("amount_cents", BigInteger, nullable=False),
)


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
