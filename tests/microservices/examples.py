"""Memorable data."""

from typing import Any
from uuid import uuid4

AUTHORIZED = {"Authorization": "Bearer the-session-token"}


def new_order(**changes: Any) -> dict[str, Any]:
    """Return an order of Ada's: two books at 19.99."""
    item = {"productId": "prod-1", "quantity": 2, "price": 19.99}
    return {"userId": "user-1", "items": [item]} | changes


def new_key() -> dict[str, str]:
    """Return an Idempotency-Key header that was not used before."""
    return {"Idempotency-Key": str(uuid4())}
