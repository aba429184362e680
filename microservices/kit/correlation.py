"""The correlation id: one id for all requests and events that one request of a client causes."""

import re
from contextvars import ContextVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from microservices.kit.ids import new_id

HEADER = "X-Correlation-Id"
ACCEPTED = re.compile(rb"[\x21-\x7e]{1,128}")

current: ContextVar[str] = ContextVar("correlation_id", default="")
"""The id of the current request or event; empty outside of one."""


def accepted_id(headers: list[tuple[bytes, bytes]]) -> str:
    """Return the caller's id, or a new one when it sent none that is safe to log."""
    values = [value for name, value in headers if name == b"x-correlation-id"]
    if len(values) == 1 and ACCEPTED.fullmatch(values[0]):
        return values[0].decode("ascii")
    return new_id()


class Correlation:
    """Accepts `X-Correlation-Id`, or makes one, and returns it with the response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        correlation_id = accepted_id(scope["headers"])
        current.set(correlation_id)
        header = (b"x-correlation-id", correlation_id.encode("ascii"))

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], header]
            await send(message)

        await self.app(scope, receive, send_with_id)
