"""HTTP/1.1 below the application: uvicorn's protocol, with limits, and strict about what was not read.

uvicorn's own drops the body of a request that offers an upgrade (Java's HTTP client offers HTTP/2 with
every request), waits for ever for the end of a head, and answers what it cannot read in plain text.
"""

from collections.abc import Iterable
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from microservices.kit.http.problem import problem_response

HEAD_SECONDS = 10
"""Longest time from the first byte of a request, or from the connection, to the end of the head."""

BODY_SECONDS = 30
"""Longest time from the end of the head to the end of the body."""

SEND_SECONDS = 60
"""Longest time in which a client takes not one byte of its response."""

LINGER_SECONDS = 5.0
"""Longest time for which bytes are discarded after a refusal. A socket that is closed on bytes that were
not read takes the response with it, and a proxy then counts the replica as broken."""

MAX_LINE_BYTES, MAX_HEAD_BYTES, MAX_HEADERS = 8_192, 32_768, 100
"""Largest request target or header, and largest head: as in nginx, so that both refuse the same."""

NOT_PASSED_ON = (b"upgrade", b"http2-settings")


class Unacceptable(Exception):
    """A head that is over a limit: the status and the detail of its problem."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class StrictProtocol(HttpToolsProtocol):
    """One connection of a client."""

    _awaits_head = True
    _waited = _stalled = _unsent = 0
    """Calls of `expire`: since the wait for a head or a body began, and without a byte sent."""

    _surplus = 0
    """Bytes received since the last whole head, or piece of a body."""

    _offers_upgrade = False
    _refused = False
    _postponed: tuple[int, str] | None = None
    _error: Unacceptable | None = None

    def data_received(self, data: bytes) -> None:
        """Parse bytes of the client, and refuse what cannot be read."""
        if self._refused:
            return
        self._unset_keepalive_if_required()
        self._surplus += len(data)
        try:
            while data:
                data = self._parse(data)
        except httptools.HttpParserError as error:
            refused = self._error or Unacceptable(400, f"this is not HTTP/1.1: {error}")
            return self.refuse(refused.status, refused.detail)
        if self._surplus > MAX_HEAD_BYTES:
            return self.refuse(*self._too_large())
        if not self._awaits_head and self.cycle.response_complete:
            self._awaits_head, self._waited = True, 0  # a part of a head, or an empty line

    def _parse(self, data: bytes) -> bytes:
        """Parse `data`; return what is still to be parsed, after an offer of an upgrade."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            return self._without_offer() + data[offer.args[0] :]
        return b""

    def _without_offer(self) -> bytes:
        """Return the head that was just parsed, without its offer of an upgrade, for a new parser.

        A server may ignore an offer (RFC 9110, 7.8), but the parser does not: it takes all that
        follows the head for the other protocol.
        """
        self._offers_upgrade = False
        version = self.parser.get_http_version().encode()
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + version]
        lines += [b"%b: %b" % pair for pair in self.headers if pair[0] not in NOT_PASSED_ON]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return b"\r\n".join([*lines, b"", b""])

    # -- called by the parser --

    def on_headers_complete(self) -> None:
        """Begin the request, unless its head is over a limit."""
        if len(self.headers) > MAX_HEADERS or self._surplus > MAX_LINE_BYTES:
            self._check_head()
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                self._reject(400, "CONNECT is for proxies, and this is none")
            self._offers_upgrade = True
            return
        self._awaits_head, self._waited, self._surplus = False, 0, 0
        super().on_headers_complete()
        self.headers = []  # what follows a body is no part of the head that the application has

    def on_body(self, body: bytes) -> None:
        """Pass a piece of the body on."""
        self._surplus = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Pass the end of the request on."""
        if not self._offers_upgrade:
            super().on_message_complete()

    def _check_head(self) -> None:
        if len(self.url) > MAX_LINE_BYTES:
            self._reject(414, f"the request target is over {MAX_LINE_BYTES} bytes")
        sizes = [len(name) + len(value) for name, value in self.headers]
        if len(sizes) > MAX_HEADERS:
            self._reject(431, f"there are more than {MAX_HEADERS} headers")
        if max(sizes, default=0) > MAX_LINE_BYTES:
            self._reject(431, f"a header is over {MAX_LINE_BYTES} bytes")
        if sum(sizes) + len(self.url) > MAX_HEAD_BYTES:
            self._reject(*self._too_large())

    def _reject(self, status: int, detail: str) -> None:
        self._error = Unacceptable(status, detail)
        raise self._error

    def _too_large(self) -> tuple[int, str]:
        if self.headers is not None and not self.headers and len(self.url) > MAX_LINE_BYTES:
            return 414, f"the request target is over {MAX_LINE_BYTES} bytes"
        return 431, f"the head of the request is over {MAX_HEAD_BYTES} bytes"

    # -- answers without the application --

    def refuse(self, status: int, detail: str) -> None:
        """Answer with a problem, after the responses that are due before it, and read no more."""
        self._refused = True
        cycle = self.cycle
        if cycle is not None and cycle.more_body and not cycle.response_complete:
            if not self.pipeline:
                # It is this request that cannot be read to its end.
                cycle.disconnected = True
                cycle.message_event.set()
                return (
                    self.transport.close() if cycle.response_started else self._send(status, detail)
                )
            self.pipeline.popleft()
        if cycle is not None and (self.pipeline or not cycle.response_complete):
            self._postponed = (status, detail)
        else:
            self._send(status, detail)

    def on_response_complete(self) -> None:
        """Begin the next request, or refuse it when it was not readable."""
        if self._postponed is None or self.pipeline or self.transport.is_closing():
            return super().on_response_complete()
        self.server_state.total_requests += 1
        self._send(*self._postponed)

    def _send(self, status: int, detail: str) -> None:
        """Send a problem, and close when the client has, or after LINGER_SECONDS."""
        if self.transport.is_closing():
            return
        response = problem_response(status, detail, headers={"connection": "close"})
        headers = [*self.server_state.default_headers, *response.raw_headers]
        lines = [b"%b: %b\r\n" % pair for pair in headers]
        self.flow.resume_reading()
        head = b"".join([STATUS_LINE[status], *lines, b"\r\n"])
        self.transport.write(head + bytes(response.body))
        self.transport.write_eof()
        self.timeout_keep_alive_task = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    # -- called once a second --

    def expire(self) -> None:
        """End this connection when its client has taken too long.

        Calls are counted, and not seconds on a clock: while the event loop is blocked, bytes of the
        client wait in the socket.
        """
        self._waited += 1
        if self._refused:
            return
        if self._awaits_head and self._waited > HEAD_SECONDS:
            if self._surplus:
                return self.refuse(408, f"the head was not complete after {HEAD_SECONDS} s")
            return self.transport.close()
        if self._awaits_body() and self._waited > BODY_SECONDS:
            return self.refuse(408, f"the body was not complete after {BODY_SECONDS} s")
        unsent = self.transport.get_write_buffer_size()
        self._stalled = self._stalled + 1 if unsent and unsent == self._unsent else 0
        self._unsent = unsent
        if self._stalled > SEND_SECONDS:
            self.transport.abort()

    def _awaits_body(self) -> bool:
        if self._awaits_head or self.cycle.response_complete or not self.cycle.more_body:
            return False
        return not self.flow.read_paused  # else it is not the client that is slow


def expire_all(connections: Iterable[Any]) -> None:
    """End the connections whose clients have taken too long."""
    for connection in list(connections):
        connection.expire()
