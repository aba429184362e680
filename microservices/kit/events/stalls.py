"""Stalls: what this service waits for before it can go on, since when, and why.

A wait for a database, for a dead letter or for Kafka ends by itself, or needs a person. Either way it is visible: in
`/ready` after some seconds, and in the metric `deliveries_waiting_seconds`.
"""

import time
from collections.abc import Hashable

SECONDS = 5.0
"""How long a wait may last until `/ready` reports it."""


class Stalls:
    """The waits of one process, each under a name: a partition, or the relay."""

    def __init__(self) -> None:
        self._waits: dict[Hashable, tuple[float, str]] = {}

    def report(self, name: Hashable, reason: str) -> None:
        """Report a wait, or that it goes on."""
        since, _ = self._waits.get(name, (time.monotonic(), ""))
        self._waits[name] = (since, reason)

    def clear(self, name: Hashable) -> None:
        """Report that a wait has ended."""
        self._waits.pop(name, None)

    def seconds(self) -> float:
        """Return how long the longest wait has lasted so far; 0 while there is none."""
        return max((time.monotonic() - since for since, _ in self._waits.values()), default=0.0)

    async def unavailable(self) -> str | None:
        """Return the longest wait once it lasts too long, `None` while all goes on."""
        if self.seconds() < SECONDS:
            return None
        since, reason = min(self._waits.values())
        return f"waiting for {time.monotonic() - since:.0f} s: {reason}"
