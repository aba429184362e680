"""One keep-alive connection to an upstream: HTTP/1.1 in bytes, one exchange at a time.

Written on asyncio's transports and httptools' parser, because the client is most of what a proxied
request costs (`scripts/bench_gateway.py` measures it). It does what a gateway needs and no more:
whole responses, in memory, up to a limit. Anything that is not a whole, well-formed response is an
`UpstreamError`, and its connection is never used again.
"""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import httptools

MAX_HEAD_BYTES = 65_536
HEAD_TOO_LARGE = f"the head of its answer is over {MAX_HEAD_BYTES} bytes"
MAX_ANSWER_BYTES = 16_000_000
"""Largest body of a response that is held in memory for a client."""


class UpstreamResponse(NamedTuple):
    """A response of an upstream. Header names are in lower case."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class UpstreamError(Exception):
    """There is no whole response. The text describes what happened, for a person."""


class Unreachable(UpstreamError):
    """There is no connection: the upstream never received the request."""


class Unanswered(UpstreamError):
    """The connection ended before the first byte of a response: the request may have been received."""


class BadAnswer(UpstreamError):
    """The response broke off, was not HTTP, or was too large."""


class TooLarge(BadAnswer):
    """The upstream answered with more than this client holds."""


class Connection(asyncio.Protocol):
    """A connection; `ended` is called once, when it can carry nothing more."""

    def __init__(self, ended: Callable[["Connection"], None]) -> None:
        self._ended = ended
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._response: asyncio.Future[UpstreamResponse] | None = None
        self.idle_since = 0.0

    @property
    def open(self) -> bool:
        """True while another exchange may begin."""
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, request: bytes) -> UpstreamResponse:
        """Send one request; return its response.

        Raises:
            UpstreamError: The connection ended before the response did.
        """
        if self._transport is None:
            raise Unanswered("it closed the connection at once")
        self._begin()
        self._seen = 0
        self._response = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._response
        finally:
            self._response = None
            if not self._complete:  # it failed or was cancelled: the rest is not needed
                self.close()

    def close(self) -> None:
        """Close at once, also during an exchange."""
        if self._transport is not None:
            self._transport.abort()

    def _begin(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._size = self._head_size = 0
        self._in_body = self._complete = self._framed = False

    # -- called by the transport --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Pass bytes to the parser, which calls the methods below."""
        if self._response is None:
            return self.close()  # bytes without a request would be taken for a response
        self._seen += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(BadAnswer(f"its answer is not HTTP ({error})"))
        if not self._in_body and not self._complete and self._seen > MAX_HEAD_BYTES:
            self._fail(BadAnswer(HEAD_TOO_LARGE))

    def connection_lost(self, exc: Exception | None) -> None:
        """End the exchange, if there is one."""
        self._transport = None
        self._ended(self)
        if self._response is None or self._response.done():
            return
        if self._in_body and not self._framed and exc is None:
            self._finish()  # a response without a length ends with its connection
        elif not self._seen:
            self._fail(Unanswered("it closed the connection without an answer"))
        else:
            self._fail(BadAnswer("its answer broke off"))

    # -- called by the parser --

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header."""
        name = name.lower()
        if name in (b"content-length", b"transfer-encoding"):
            self._framed = True
        self._headers.append((name, value))
        self._head_size += len(name) + len(value)
        if self._head_size > MAX_HEAD_BYTES:
            self._fail(BadAnswer(HEAD_TOO_LARGE))

    def on_headers_complete(self) -> None:
        """Count the bytes that follow as the body."""
        self._in_body = True
        status = self._parser.get_status_code()
        if not 100 <= status < 600:  # no status of HTTP, so no client could be sent it
            self._fail(BadAnswer(f"its answer has the status {status}"))

    def on_body(self, body: bytes) -> None:
        """Collect a part of the body."""
        self._size += len(body)
        if self._size > MAX_ANSWER_BYTES:
            self._fail(TooLarge(f"its answer is over {MAX_ANSWER_BYTES} bytes"))
        elif self.open:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """Return the response to the caller; an interim one (1xx) only precedes it."""
        if self._parser.get_status_code() < 200:
            self._begin()
        elif self._complete:
            self.close()  # a second response to one request
        else:
            self._finish()

    def _finish(self) -> None:
        if self._response is None or self._response.done():
            return
        self._complete = True
        if not self._parser.should_keep_alive():
            self.close()
        status = self._parser.get_status_code()
        self._response.set_result(UpstreamResponse(status, self._headers, b"".join(self._body)))

    def _fail(self, error: UpstreamError) -> None:
        if self._response is not None and not self._response.done():
            self._response.set_exception(error)
        self.close()
