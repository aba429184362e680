"""`HEAD`: the response to a `GET`, without its body."""

from starlette.types import ASGIApp, Receive, Scope, Send


class AnswerHead:
    """Routes a HEAD request as a GET; the server leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            return await self.app(scope, receive, send)
        # A copy: from the method in its own scope the server sees that it sends no body.
        as_get = dict(scope, method="GET")
        try:
            await self.app(as_get, receive, send)
        finally:
            scope["route"] = as_get.get("route")  # for the metrics
