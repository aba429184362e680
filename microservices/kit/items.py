"""The lines of an order: the same in a request and in an event."""

from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer

from microservices.kit.wire import Id, WireModel, amount_schema, from_cents, to_cents


def price_to_cents(value: object) -> int:
    """Turn a price into cents: at least 0.01, at most a million."""
    cents = to_cents(value)
    if not 1 <= cents <= 100_000_000:
        raise ValueError("should be between 0.01 and 1000000")
    return cents


Price = Annotated[
    int,
    BeforeValidator(price_to_cents),
    PlainSerializer(from_cents, return_type=float),
    amount_schema(minimum=0.01, maximum=1_000_000),
]


class Item(WireModel):
    """One line of an order."""

    product_id: Id
    quantity: Annotated[int, Field(ge=1, le=10_000)]
    price_cents: Price = Field(alias="price")


Items = Annotated[list[Item], Field(min_length=1, max_length=100)]
