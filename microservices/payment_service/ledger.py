"""The ledger in the database: pages of charges with their refunds, and the balances of all of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, func, select, true

from microservices.kit.http.pages import Page, PageRequest
from microservices.kit.page_query import paged, read_page
from microservices.payment_service.debts import OPEN, refunds
from microservices.payment_service.store import charges

UNIT = 1_000_000
"""Divides an amount into two parts, whose sums stay small: SQLite cannot add beyond 64 bits."""

CHARGES = paged(
    select(charges.c.position, charges.c.order_id, charges.c.amount_cents), charges.c.position
)

Wire = Callable[[Mapping[Any, Any]], object]


@dataclass(frozen=True)
class LedgerPage:
    """One page of charges, the paid refunds of these charges, and the sums of the whole ledger, in cents."""

    charges: Page
    refunds: list[object]
    charged: int
    refunded: int
    owed: int


def read_ledger(connection: Connection, page: PageRequest, wire: Wire) -> LedgerPage:
    """Read one page of the ledger, oldest charges first; `wire` returns the wire form of a row.

    Each paid refund is on the page of its charge.
    """
    part = read_page(connection, page, CHARGES, wire)
    on_page = charges.c.position > page.cursor
    if part.next:
        on_page &= charges.c.position <= part.next.cursor
    paid = select(refunds.c.order_id, refunds.c.amount_cents)
    paid = paid.join(charges, charges.c.order_id == refunds.c.order_id).where(on_page & ~OPEN)
    rows = connection.execute(paid.order_by(charges.c.position)).mappings()
    return LedgerPage(
        charges=part,
        refunds=[wire(row) for row in rows],
        charged=sum_of(connection, charges.c.amount_cents),
        refunded=sum_of(connection, refunds.c.amount_cents, ~OPEN),
        owed=sum_of(connection, refunds.c.amount_cents, OPEN),
    )


def sum_of(
    connection: Connection, cents: Column[int], where: ColumnElement[bool] | None = None
) -> int:
    """Return the sum of a column of amounts, in cents."""
    parts = select(func.sum(cents // UNIT), func.sum(cents % UNIT))
    high, low = connection.execute(parts.where(true() if where is None else where)).one()
    return int(high or 0) * UNIT + int(low or 0)
