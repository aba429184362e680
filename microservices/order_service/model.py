"""Orders: their form on the wire, their total, their id."""

from datetime import UTC, datetime
from typing import Literal, Self
from uuid import NAMESPACE_OID, uuid5

from pydantic import Field, model_validator

from microservices.kit.ids import new_id
from microservices.kit.items import Item, Items
from microservices.kit.wire import Amount, Id, WireModel, from_cents

Status = Literal["pending", "completed", "cancelled"]


class NewOrder(WireModel):
    """A new order, as a client sends it."""

    user_id: Id
    items: Items
    total_cents: Amount | None = Field(default=None, alias="total")

    @model_validator(mode="after")
    def _total_agrees(self) -> Self:
        computed = sum_of(self.items)
        if self.total_cents is not None and self.total_cents != computed:
            stated = from_cents(self.total_cents)
            raise ValueError(f"total is {stated}, but the items add up to {from_cents(computed)}")
        return self


class ItemView(WireModel):
    """One line of an order, as in an answer."""

    product_id: Id
    quantity: int
    price: float


class Order(WireModel):
    """An order, as in an answer."""

    id: Id
    user_id: Id
    items: list[ItemView]
    total: float
    status: Status
    created_at: str


class OrderDetail(Order):
    """One order, with the reason of its cancellation; null when it was not cancelled."""

    cancellation_reason: str | None


def sum_of(items: list[Item]) -> int:
    """Return the total of items, in cents."""
    return sum(item.quantity * item.price_cents for item in items)


def order_id(*, seed: int, user_id: str, key: str | None) -> str:
    """Return the id of an order: the same for the same user and Idempotency-Key, else random.

    Labs predict ids with the same formula.
    """
    return new_id() if key is None else str(uuid5(NAMESPACE_OID, f"{seed}:{user_id}:{key}"))


def now() -> str:
    """Return the time in UTC, as ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
