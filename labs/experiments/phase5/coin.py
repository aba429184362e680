"""The coin: which steps of an order fail, by the formulas that the services use (and that no service is asked for)."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from itertools import count
from uuid import NAMESPACE_OID, uuid5
from zlib import crc32

from labs.experiments.phase5.names import COMPLETED, INVENTORY_FAILED, PAYMENT_FAILED

PAYMENT_RATE, INVENTORY_RATE = 0.3, 0.2
"""The shares of payments and of reservations that fail, as phase 5 sets them."""

PARTITIONS = 6
"""Of each topic, as the services create them."""


def order_id(*, seed: int, user: str, key: str) -> str:
    """Return the id of the order that a user places with an Idempotency-Key."""
    return str(uuid5(NAMESPACE_OID, f"{seed}:{user}:{key}"))


def fails(*, seed: int, order: str, step: str, rate: float) -> bool:
    """Return whether a step of an order fails: its SHA-256, as a number from 0 to 1, is below the rate."""
    digest = sha256(f"{seed}:{order}:{step}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < rate


def outcome_of(
    order: str,
    *,
    seed: int,
    payment_rate: float = PAYMENT_RATE,
    inventory_rate: float = INVENTORY_RATE,
) -> str:
    """Return how an order ends when every participant answers in time."""
    if fails(seed=seed, order=order, step="payment", rate=payment_rate):
        return PAYMENT_FAILED
    if fails(seed=seed, order=order, step="inventory", rate=inventory_rate):
        return INVENTORY_FAILED
    return COMPLETED


def keys_of(outcome: str, *, seed: int, user: str) -> Iterator[str]:
    """Yield the keys, of `k0`, `k1`, `k2` and so on, with which a user's orders have this outcome."""
    for number in count():
        key = f"k{number}"
        if outcome_of(order_id(seed=seed, user=user, key=key), seed=seed) == outcome:
            yield key


def partition_of(order: str) -> int:
    """Return the partition of an order's events: librdkafka's default for a key, CRC-32 modulo the partitions."""
    return crc32(order.encode()) % PARTITIONS
