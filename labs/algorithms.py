"""Two algorithms that the gateway takes from libraries, written out in a few lines each.

No service uses them: they are here to be read. A test holds each against the library, decision for decision.
"""

from __future__ import annotations

from collections import deque


class MovingWindow:
    """A rate limit: at most `limit` requests in any span of `seconds`."""

    def __init__(self, *, limit: int, seconds: float) -> None:
        self.limit, self.seconds = limit, seconds
        self.admitted: deque[float] = deque()

    def admits(self, now: float) -> bool:
        """Decide on a request at that moment (s)."""
        while self.admitted and self.admitted[0] <= now - self.seconds:
            self.admitted.popleft()
        if len(self.admitted) == self.limit:
            return False
        self.admitted.append(now)
        return True


class CircuitBreaker:
    """Opens after `failures` failures in a row; after `open_seconds` one request passes, the probe."""

    def __init__(self, *, failures: int, open_seconds: float) -> None:
        self.limit, self.open_seconds = failures, open_seconds
        self.in_a_row, self.opened, self.probing = 0, float("-inf"), False

    def passes(self, now: float) -> bool:
        """Decide whether a request at that moment (s) reaches the upstream."""
        if self.in_a_row < self.limit:
            return True  # closed
        if self.probing or now < self.opened + self.open_seconds:
            return False  # open, or half-open and its probe is under way
        self.probing = True
        return True

    def ended(self, *, failed: bool, now: float) -> None:
        """Count how a request that passed has ended."""
        self.probing = False
        self.in_a_row = self.in_a_row + 1 if failed else 0
        if self.in_a_row >= self.limit:
            self.opened = now
