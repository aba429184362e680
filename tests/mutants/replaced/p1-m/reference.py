"""The reference answer: half-open is the state as long as the probe is under way."""

import asyncio
import time


class Breaker:
    def __init__(self, *, failures, open_seconds, changed):
        self.limit, self.open_seconds, self.changed = failures, open_seconds, changed
        self.now, self.in_a_row, self.opened = "closed", 0, 0.0

    @property
    def state(self):
        return self.now

    async def call(self, send):
        wait = self.opened + self.open_seconds - time.monotonic()
        if self.now == "half-open" or (self.now == "open" and wait > 0):
            raise CircuitOpen(max(wait, 0.1))
        probe, failed = self.now == "open", True
        if probe:
            self.turn("half-open")
        try:
            response = await send()
            failed = self.is_failure(response.status)
            return response
        except asyncio.CancelledError:
            failed = None  # the client went away, which shows nothing about the upstream
            raise
        finally:
            if probe or self.now == "closed":
                self.ended(failed)

    def ended(self, failed):
        if failed is not None:
            self.in_a_row = self.in_a_row + 1 if failed else 0
            self.opened = time.monotonic() if failed else self.opened
        state = "closed" if self.in_a_row < self.limit else "open"
        if state != self.now:
            self.turn(state)

    def turn(self, state):
        self.changed(self.now, state)
        self.now = state

    def is_failure(self, status):
        return status >= 500
