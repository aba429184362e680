"""Chance that is decided once: a function of the seed, the order and the step, and of nothing else.

The same orders fail whatever the timing, the number of replicas, or how often an event is delivered. Labs predict
every outcome with the same formula.
"""

from hashlib import sha256


def share(*, seed: int, order_id: str, step: str) -> float:
    """Return a number from 0 to 1, 1 excluded, uniform over orders: the first 8 bytes of a SHA-256, as a fraction."""
    digest = sha256(f"{seed}:{order_id}:{step}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def fails(*, seed: int, order_id: str, step: str, rate: float) -> bool:
    """Return whether a step of an order fails, of which a share `rate` does."""
    return share(seed=seed, order_id=order_id, step=step) < rate
