"""Bodies: each is read whole, up to 1 MB, before anything answers the request.

An answer to a body that is still being sent cannot be relied on: the connection has to be closed, a
socket that is closed on bytes that were not read takes the answer with it, and a proxy then counts the
replica as broken. So faults, authorization, limits and routes come after the body.
"""

import asyncio

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from microservices.kit.http.problem import problem_response

MAX_BYTES = 1_000_000
"""Largest body; `client_max_body_size` in nginx is the same."""

DISCARD_SECONDS = 10.0
"""Longest time for which the rest of a refused body is discarded."""


class Refused(Exception):
    """A body that is not read to its end: the status and the detail of its problem."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class BodyReader:
    """Reads a whole body, up to the limit, before the application sees the request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or (scope["method"] in ("GET", "HEAD") and not has_body(scope)):
            return await self.app(scope, receive, send)
        try:
            body = await read_announced(scope, receive)
        except ClientDisconnect:
            return None  # an incomplete body must not be handled; the client has disconnected
        except Refused as refused:
            return await refuse(refused, receive, send)
        if coding := header(scope, b"content-encoding"):
            detail = f"send the body as it is, without Content-Encoding: {coding}"
            response = problem_response(415, detail, headers={"Accept-Encoding": "identity"})
            return await response(scope, receive, send)
        await self.app(scope, replay(body, receive), send)


def has_body(scope: Scope) -> bool:
    """Return whether the request announces a body."""
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])


def header(scope: Scope, name: bytes) -> str:
    """Return the values of a header, joined; empty without one, or when it only says `identity`."""
    values = [value.decode("latin-1") for each, value in scope["headers"] if each == name]
    given = ", ".join(values)
    return "" if given.lower() == "identity" else given


def announced(scope: Scope) -> int | None:
    """Return the Content-Length, `None` without one; the server has checked that it is a number."""
    return next((int(value) for name, value in scope["headers"] if name == b"content-length"), None)


async def read_announced(scope: Scope, receive: Receive) -> bytes:
    """Read the body.

    Raises:
        Refused: It is over the limit, or is not what the head announces.
        ClientDisconnect: The client closed the connection before the end.
    """
    length = announced(scope)
    if length is not None and length > MAX_BYTES:
        raise too_large()
    if (coding := header(scope, b"transfer-encoding")) and coding.lower() != "chunked":
        raise Refused(400, f"send a body with Content-Length, or chunked, not {coding}")
    body = await read(receive)
    if length is not None and length != len(body):
        raise Refused(400, f"{length} bytes were announced, and {len(body)} came")
    return body


def too_large() -> Refused:
    """Return the refusal of a body over the limit."""
    return Refused(413, f"the body is over {MAX_BYTES} bytes")


async def read(receive: Receive) -> bytes:
    """Read the body.

    Raises:
        Refused: It is over the limit.
        ClientDisconnect: The client closed the connection before the end.
    """
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BYTES:
            raise too_large()
    return bytes(body)


async def refuse(refused: Refused, receive: Receive, send: Send) -> None:
    """Answer while the body is still being sent, and discard the rest of it before the connection closes."""
    headers = {"Connection": "close"}
    response = problem_response(refused.status, refused.detail, headers=headers)
    start = {"status": response.status_code, "headers": response.raw_headers}
    await send({"type": "http.response.start", **start})
    # The server closes the connection at the last message, which therefore comes after the body.
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    try:
        async with asyncio.timeout(DISCARD_SECONDS):
            while (await receive()).get("more_body"):
                pass
    except TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b""})


def replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that returns `body` first, and then the messages of the connection."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return pending.pop() if pending else await receive()

    return again
