"""One keep-alive connection to an upstream: HTTP/1.1 in bytes, one exchange at a time.

Written on asyncio's transports and httptools' parser, because the client is most of what a proxied
request costs (``scripts/bench_gateway.py`` measures it). It does what a gateway needs and no more:
whole answers, in memory, up to a limit. Anything that is not a whole, well-formed answer is an
:class:`UpstreamError`, and its connection is never used again.
"""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import httptools

MAX_HEAD_BYTES = 65_536
HEAD_TOO_LARGE = f"the head of its answer is over {MAX_HEAD_BYTES} bytes"
MAX_ANSWER_BYTES = 16_000_000
"""Largest answer we hold in memory for a client."""


class Answer(NamedTuple):
    """What an upstream answered. Header names are in lower case."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class UpstreamError(Exception):
    """No whole answer. The message says what happened, for a person."""


class Unreachable(UpstreamError):
    """No connection: the upstream never saw the request."""


class Unanswered(UpstreamError):
    """The connection ended before the first byte of an answer: the request was seen, or was not."""


class BadAnswer(UpstreamError):
    """The answer broke off, was not HTTP, or was too large."""


class Connection(asyncio.Protocol):
    """A connection; ``ended`` is called once, when it can carry nothing more."""

    def __init__(self, ended: Callable[["Connection"], None]) -> None:
        self._ended = ended
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Answer] | None = None
        self.idle_since = 0.0

    @property
    def open(self) -> bool:
        """True while another exchange may be begun."""
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, request: bytes) -> Answer:
        """Send one request, return its answer.

        Raises:
            UpstreamError: when the connection ends before the answer does.
        """
        if self._transport is None:
            raise Unanswered("it closed the connection at once")
        self._begin()
        self._seen = 0
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._answer
        finally:
            self._answer = None
            if not self._complete:  # it failed, or nobody waits any longer: the rest is noise
                self.close()

    def close(self) -> None:
        """Close at once, whatever was under way."""
        if self._transport is not None:
            self._transport.abort()

    def _begin(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._size = self._head_size = 0
        self._in_body = self._complete = self._framed = False

    # -- what the transport says --

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the way out."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Hand bytes to the parser, which calls the methods below."""
        if self._answer is None:
            return self.close()  # bytes nobody asked for: the next answer could not be told apart
        self._seen += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(BadAnswer(f"its answer is not HTTP ({error})"))
        if not self._in_body and not self._complete and self._seen > MAX_HEAD_BYTES:
            self._fail(BadAnswer(HEAD_TOO_LARGE))

    def connection_lost(self, exc: Exception | None) -> None:
        """End the exchange under way, if there is one."""
        self._transport = None
        self._ended(self)
        if self._answer is None or self._answer.done():
            return
        if self._in_body and not self._framed and exc is None:
            self._finish()  # an answer without a length ends with its connection
        elif not self._seen:
            self._fail(Unanswered("it closed the connection without an answer"))
        else:
            self._fail(BadAnswer("its answer broke off"))

    # -- what the parser says --

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
        """Know that from here on bytes are the body."""
        self._in_body = True

    def on_body(self, body: bytes) -> None:
        """Collect a part of the body."""
        self._size += len(body)
        if self._size > MAX_ANSWER_BYTES:
            self._fail(BadAnswer(f"its answer is over {MAX_ANSWER_BYTES} bytes"))
        elif self.open:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """Hand the answer over; an interim one (1xx) only comes before it."""
        if self._parser.get_status_code() < 200:
            self._begin()
        elif self._complete:
            self.close()  # a second answer to one request
        else:
            self._finish()

    def _finish(self) -> None:
        if self._answer is None or self._answer.done():
            return
        self._complete = True
        if not self._parser.should_keep_alive():
            self.close()
        status = self._parser.get_status_code()
        self._answer.set_result(Answer(status, self._headers, b"".join(self._body)))

    def _fail(self, error: UpstreamError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self.close()
