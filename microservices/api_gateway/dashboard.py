"""The dashboard: two services requested at the same time, and a response even when one of them fails."""

import asyncio
import logging

from pydantic_core import from_json
from starlette.types import Receive, Scope, Send

from microservices.api_gateway.forward import PlainRoute, send_bytes
from microservices.api_gateway.http_client.upstream import Upstream, UpstreamRequest
from microservices.kit.http.problem import Problem
from microservices.kit.wire import WireModel, encode

log = logging.getLogger(__name__)

JSON = (b"content-type", b"application/json")


class Dashboard(WireModel):
    """What both services hold; `null` for a service that is named in `unavailable`."""

    users: list[dict[str, object]] | None
    orders: list[dict[str, object]] | None
    partial: bool
    unavailable: list[str]


def route(users: Upstream, orders: Upstream) -> PlainRoute:
    """Return the route of `/api/dashboard`."""

    async def application(_: Scope, __: Receive, send: Send) -> None:
        # At the same time: the slower one decides how long it takes, not the sum.
        parts = await asyncio.gather(part(users, b"/users"), part(orders, b"/orders"))
        await send_bytes(send, 200, [JSON], compose(*parts))

    return PlainRoute(
        "/api/dashboard",
        application,
        methods=["GET"],
        summary="Users and orders together",
        response_model=Dashboard,
    )


def compose(users: bytes | None, orders: bytes | None) -> bytes:
    """Return the dashboard around the JSON texts of two lists, which are not decoded for it."""
    parts = {"user-service": users, "order-service": orders}
    missing = [name for name, text in parts.items() if text is None]
    rest = encode({"partial": bool(missing), "unavailable": missing})
    return b'{"users":%b,"orders":%b,%b' % (users or b"null", orders or b"null", rest[1:])


async def part(upstream: Upstream, target: bytes) -> bytes | None:
    """Return one service's list as JSON text, `None` when the service gives none."""
    try:
        response = await upstream.send(UpstreamRequest(b"GET", target))
    except Problem as problem:
        log.warning("dashboard without %s: %s", upstream.name, problem.detail)
        return None
    if response.status != 200 or not is_list(response.body):
        log.warning("dashboard without %s: it answered %d", upstream.name, response.status)
        return None
    return response.body


def is_list(text: bytes) -> bool:
    """Return whether a text is a JSON list: anything else would make the whole document invalid."""
    try:
        return isinstance(from_json(text, allow_inf_nan=False), list)
    except ValueError:
        return False
