"""A sampling plan: a new version is accepted when few enough of its first answers are errors."""

from __future__ import annotations

import math

PROMOTED, WITHDRAWN = "promoted", "rolled back"


def decide(errors: int, allowed: int) -> str:
    """Return the decision: a canary with at most that many errors is promoted, any other rolled back."""
    return PROMOTED if errors <= allowed else WITHDRAWN


def at_most(errors: int, *, of: int, p: float) -> float:
    """Return the probability that at most `errors` of that many requests fail, each with probability `p`."""
    return sum(math.comb(of, k) * p**k * (1 - p) ** (of - k) for k in range(errors + 1))
