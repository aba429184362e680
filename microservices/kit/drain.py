"""Draining: a service that shuts down first announces it, then finishes the requests that it began.

After SIGTERM `/ready` is 503 and every response closes its connection, so that load balancers and connection pools
use other replicas. When the requests that were in flight are done, the server stops
listening.
"""

import faulthandler
import logging
import signal
import socket
import time
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from microservices.kit.http.protocol import expire_all

log = logging.getLogger(__name__)

LISTEN_SECONDS = 6.0
"""Longest time that the server listens after SIGTERM, while requests are in flight."""

FINISH_SECONDS = 2
"""Longest time, after the server stopped listening, for the requests that came meanwhile."""


class Drain:
    """The requests in flight, and whether the service shuts down."""

    def __init__(self) -> None:
        self.in_flight: set[object] = set()
        self.began: float | None = None
        self.awaited: set[object] = set()
        self._announced = False

    @property
    def draining(self) -> bool:
        """True once the service shuts down."""
        return self.began is not None

    def start(self) -> None:
        """Begin to drain: wait for the requests that are in flight now, and for no later one.

        This logs nothing: a signal may have come while a line was being written.
        """
        self.began = time.monotonic()
        self.awaited = set(self.in_flight)

    def announce(self) -> None:
        """Log, once, that the service drains."""
        if self.draining and not self._announced:
            self._announced = True
            log.info("draining", extra={"inFlight": len(self.awaited)})

    def finished(self) -> bool:
        """Return whether the requests that were in flight are done, or the time limit has passed."""
        if self.began is None:
            return False
        overdue = time.monotonic() - self.began > LISTEN_SECONDS
        return overdue or not (self.awaited & self.in_flight)


class TrackRequests:
    """Counts the requests in flight, and closes each connection while the service drains."""

    def __init__(self, app: ASGIApp, drain: Drain) -> None:
        self.app = app
        self.drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
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
        """Drain at the first signal; at a second Ctrl-C exit at once."""
        if not self.drain.draining:
            self.drain.start()
        elif sig == signal.SIGINT:
            self.should_exit = self.force_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and end the time limit that a start with `REPLACED` has."""
        await super().startup(sockets)
        faulthandler.cancel_dump_traceback_later()

    async def on_tick(self, counter: int) -> bool:
        """Stop listening when the drain is finished. uvicorn calls this ten times per second."""
        self.drain.announce()
        if self.drain.finished():
            self.should_exit = True
        if counter % 10 == 0:  # once a second
            expire_all(self.server_state.connections)
        return await super().on_tick(counter)
