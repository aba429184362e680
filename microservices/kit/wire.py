"""The wire: camelCase JSON, read strictly, with amounts that are whole cents in Python.

A plain `json.loads` accepts NaN, Infinity and half a surrogate pair, and then an error message that
quotes them cannot be encoded. The parser here refuses them with their position.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import from_json, to_json

MAX_AMOUNT = 1_000_000_000_000
"""Largest amount on the wire: its cents still fit a float exactly, and 64 bits with room."""


class WireModel(BaseModel):
    """A JSON object: camelCase names, exact types, no unknown fields."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True)


Id = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._@+-]+$")]
"""An identifier. Without `:`, so that `seed:userId:key` can be read in one way only."""

TEXT = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=TEXT)]
"""A line of text, not blank, without control characters (PostgreSQL cannot store a NUL)."""


def to_cents(value: object) -> int:
    """Turn an amount on the wire into cents: `19.99` -> `1999`.

    Raises:
        ValueError: It is not a number, negative, too large, or has more than two decimals.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("should be a number")
    if not 0 <= value <= MAX_AMOUNT:
        raise ValueError(f"should be between 0 and {MAX_AMOUNT}")
    cents = round(value * 100)
    if from_cents(cents) != value:  # the nearest float to a number of cents, or no such number
        raise ValueError("should have at most two decimals")
    return cents


def from_cents(cents: int) -> float:
    """Turn cents into the number on the wire: `1999` -> `19.99`."""
    return cents / 100


def amount_schema(**limits: Any) -> WithJsonSchema:
    """Describe an amount in the OpenAPI document."""
    description = "at most two decimals"
    return WithJsonSchema(
        {"type": "number", "maximum": MAX_AMOUNT} | limits | {"description": description}
    )


Amount = Annotated[int, BeforeValidator(to_cents), amount_schema(minimum=0)]
"""An amount: a number on the wire, whole cents in Python."""


def encode(value: object) -> bytes:
    """Encode a value as compact JSON."""
    return to_json(value)


def read_json(body: bytes) -> Any:
    """Parse strict JSON: no NaN, no Infinity, valid UTF-8, whole surrogate pairs, sane depth.

    Raises:
        ValueError: The text names what is wrong and where.
    """
    return from_json(body, allow_inf_nan=False)
