"""Payments on the wire."""

from typing import Literal
from uuid import uuid4

from pydantic import Field

from microservices.kit.wire import Amount, Id, WireModel

CUSTOMERS = "customers"
SHOP = "shop"
OWED = "owed"
"""The accounts of the ledger: a charge moves money from the customers to the shop, a cancelled order from the shop to
what is owed, and a refund from there to the customers."""


class NewPayment(WireModel):
    """A new payment, as a client sends it. `orderId` is random by default, `amount` 0."""

    order_id: Id = Field(default_factory=lambda: str(uuid4()))
    amount_cents: Amount = Field(default=0, alias="amount")


class Payment(WireModel):
    """A payment, as in an answer."""

    payment_id: Id
    order_id: Id
    status: Literal["completed"]
    amount: float


class Entry(WireModel):
    """One charge, or one refund."""

    order_id: Id
    amount: float


class Ledger(WireModel):
    """A page of charges and refunds. `balances` are the sums of all of them, and add up to zero."""

    charges: list[Entry]
    refunds: list[Entry]
    balances: dict[str, float]
