"""Draining: a service that is told to stop first says so, then finishes what it began.

SIGTERM: `/ready` turns 503 and every answer closes its connection, so that load balancers and
connection pools leave. When the requests that were in flight are done, the server stops listening.
"""

import logging
import signal
import time
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

LISTEN_SECONDS = 6.0
"""Longest time we go on listening after SIGTERM, waiting for the requests that were in flight."""

FINISH_SECONDS = 2
"""Longest time, after we stopped listening, for the requests that came meanwhile."""


class Drain:
    """Knows the requests in flight, and whether we are on our way out."""

    def __init__(self) -> None:
        self.in_flight: set[object] = set()
        self.began: float | None = None
        self.awaited: set[object] = set()

    @property
    def draining(self) -> bool:
        """True once we were told to stop."""
        return self.began is not None

    def start(self) -> None:
        """Begin to drain: from now on we wait for the requests in flight, and for no later one."""
        self.began = time.monotonic()
        self.awaited = set(self.in_flight)
        log.info("draining", extra={"inFlight": len(self.awaited)})

    def finished(self) -> bool:
        """True when the requests that were in flight are done, or had their time."""
        if self.began is None:
            return False
        overdue = time.monotonic() - self.began > LISTEN_SECONDS
        return overdue or not (self.awaited & self.in_flight)


class TrackRequests:
    """Tells the drain which requests are in flight, and the client to leave when we drain."""

    def __init__(self, app: ASGIApp, drain: Drain) -> None:
        self.app = app
        self.drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        request = object()

        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start" and self.drain.draining:
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        self.drain.in_flight.add(request)
        try:
            await self.app(scope, receive, send_and_close)
        finally:
            self.drain.in_flight.discard(request)


class DrainingServer(uvicorn.Server):
    """uvicorn, except that the first SIGTERM drains before the socket closes."""

    def __init__(self, config: uvicorn.Config, drain: Drain) -> None:
        super().__init__(config)
        self.drain = drain

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at the first signal; at a second Ctrl-C leave at once."""
        if not self.drain.draining:
            self.drain.start()
        elif sig == signal.SIGINT:
            self.should_exit = self.force_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Stop listening when the drain is finished. uvicorn asks ten times per second."""
        if self.drain.finished():
            self.should_exit = True
        return await super().on_tick(counter)
