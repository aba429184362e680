"""A budget of retries: a retry helps when few requests fail, and harms when all do.

Each request adds a fifth of a retry, and each second ten, so that a gateway with few requests may retry too. An
upstream that is down therefore gets little more than its usual load, and not a multiple of it.
"""

import time
from collections.abc import Callable

SHARE = 0.2
"""Retries per request."""

PER_SECOND = 10.0
"""Retries per second besides."""

MOST = 100.0
"""Retries that can be saved up."""


class RetryBudget:
    """Decides whether one more retry may be sent. `clock` is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._balance, self._at = MOST, clock()

    def pay_in(self) -> None:
        """Add the share of one request."""
        self._balance = min(MOST, self._balance + SHARE)

    def spend(self) -> bool:
        """Take one retry from the budget; false when none is left."""
        now = self._clock()
        self._balance = min(MOST, self._balance + PER_SECOND * (now - self._at))
        self._at = now
        if self._balance < 1:
            return False
        self._balance -= 1
        return True
