"""Routing: which path goes to which service. Bodies pass as bytes; nothing is decoded on the way."""

from collections.abc import Awaitable, Sequence
from typing import Any
from urllib.parse import quote

from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from microservices.api_gateway.http_client.connection import UpstreamResponse
from microservices.api_gateway.http_client.upstream import Upstream, UpstreamRequest
from microservices.kit.http import body, pages
from microservices.kit.http.problem import Problem, documented

PASSED_ON = frozenset(
    {b"accept", b"content-type", b"idempotency-key", b"traceparent", b"tracestate"}
)
"""Request headers that are passed on to a service. The correlation id comes from kit/correlation.py."""

PASSED_BACK = frozenset({b"content-type", b"location", b"retry-after", b"allow", b"link"})
"""Response headers that are passed back to a client; the length is computed from the body."""

KEPT = frozenset({b"retry-after", b"allow"})
"""Those of an error that the gateway explains itself."""

PROBLEMS = documented(400, 404, 413, 415, 422, 502, 503, 504)
ID: dict[str, Any] = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}


class PlainRoute(APIRoute):
    """A route of an ASGI application, in the OpenAPI document like any other, but outside of FastAPI.

    FastAPI's parsing of parameters and encoding of responses would cost more than the routing itself.
    """

    def __init__(self, path: str, application: ASGIApp, **described: Any) -> None:
        async def endpoint() -> None:
            """Never called: it only represents the application in the document."""

        endpoint.__name__, endpoint.__doc__ = described["summary"], None
        super().__init__(path, endpoint, tags=["routes"], **described)
        self.app = application


def routes(users: Upstream, orders: Upstream, payments: Upstream) -> Sequence[PlainRoute]:
    """Return the routing table."""
    return [
        route("GET", "/api/users", users, "/users", described=pages.DESCRIBED),
        route("GET", "/api/orders", orders, "/orders", described=pages.DESCRIBED),
        route("POST", "/api/orders", orders, "/orders"),
        route("GET", "/api/orders/{id}", orders, "/orders/{id}", described={"parameters": [ID]}),
        route("POST", "/api/pay", payments, "/pay"),
    ]


def route(
    method: str,
    path: str,
    upstream: Upstream,
    target: str,
    *,
    described: dict[str, Any] | None = None,
) -> PlainRoute:
    """Return one row of the routing table: requests for `path` go to `target` of the upstream."""
    created: dict[int | str, dict[str, Any]] = {201: {"description": "Made"}}
    return PlainRoute(
        path,
        forward(upstream, method, target),
        methods=[method],
        summary=f"{method} {target} of {upstream.name}",
        response_description=f"Whatever {upstream.name} answers",
        responses=PROBLEMS | (created if method == "POST" else {}),
        openapi_extra=described,
    )


def forward(upstream: Upstream, method: str, target: str) -> ASGIApp:
    """Return the application that passes requests on to an upstream, and its responses back."""
    verb, fixed, with_id = method.encode(), target.encode(), target.endswith("/{id}")
    prefix = fixed.removesuffix(b"{id}")

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        path = prefix + quote(scope["path_params"]["id"], safe="").encode() if with_id else fixed
        query = scope["query_string"]
        request = UpstreamRequest(
            verb,
            path + b"?" + query if query else path,
            tuple(pair for pair in scope["headers"] if pair[0] in PASSED_ON),
            await body.read(receive) if verb == b"POST" else b"",
        )
        response = await upstream.send(request)
        if response.status >= 400:
            check_explained(upstream.name, response)
        await respond(send, response)

    return application


def check_explained(name: str, response: UpstreamResponse) -> None:
    """Refuse to pass on an error page: a client gets errors as problems only.

    Raises:
        Problem: with the status of the response, which is an error without a JSON body.
    """
    headers = dict(response.headers)
    if b"json" not in headers.get(b"content-type", b"").lower():
        passed = {name.decode(): headers[name].decode("latin-1") for name in KEPT & headers.keys()}
        detail = f"{name} answered {response.status}, without a problem that explains it"
        raise Problem(response.status, detail, headers=passed)


def respond(send: Send, response: UpstreamResponse) -> Awaitable[None]:
    """Pass a service's response back to a client."""
    headers = [pair for pair in response.headers if pair[0] in PASSED_BACK]
    return send_bytes(send, response.status, headers, response.body)


async def send_bytes(
    send: Send, status: int, headers: list[tuple[bytes, bytes]], content: bytes
) -> None:
    """Send a response whose body is `content`."""
    if status not in (204, 304):
        headers.append((b"content-length", b"%d" % len(content)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
