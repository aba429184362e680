"""The body limit: no request carries more than 1 MB, with or without a Content-Length."""

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from microservices.kit.http.problem import problem_response

MAX_BYTES = 1_000_000


class BodyLimit:
    """Reads a whole body, up to the limit, before the application sees the request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or (scope["method"] in ("GET", "HEAD") and not has_body(scope)):
            return await self.app(scope, receive, send)
        try:
            body = None if announced(scope) > MAX_BYTES else await read(receive)
        except ClientDisconnect:
            return None  # an incomplete body must not be handled; the client has disconnected
        if body is None:
            detail = f"the body is over {MAX_BYTES} bytes"
            # The rest of the body is still being sent: this connection cannot be used again.
            response = problem_response(413, detail, headers={"Connection": "close"})
            return await response(scope, receive, send)
        await self.app(scope, replay(body, receive), send)


def has_body(scope: Scope) -> bool:
    """Return whether the request announces a body."""
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])


def announced(scope: Scope) -> int:
    """Return the Content-Length, 0 without one; the server has checked that it is a number."""
    return next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)


async def read(receive: Receive) -> bytes | None:
    """Read the body; return `None` when it is over the limit.

    Raises:
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
            return None
    return bytes(body)


def replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that returns `body` first, and then the messages of the connection."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return pending.pop() if pending else await receive()

    return again
