"""The dashboard: two services asked at the same time, and an answer even when one has none."""

import asyncio
import logging

from pydantic_core import from_json
from starlette.types import Receive, Scope, Send

from microservices.api_gateway.forward import PlainRoute, send_bytes
from microservices.api_gateway.http_client.upstream import Question, Upstream
from microservices.kit.http.problem import Problem
from microservices.kit.wire import WireModel, encode

log = logging.getLogger(__name__)

JSON = (b"content-type", b"application/json")


class Dashboard(WireModel):
    """What both services know; ``null`` for one that is named in ``unavailable``."""

    users: list[dict[str, object]] | None
    orders: list[dict[str, object]] | None
    partial: bool
    unavailable: list[str]


def route(users: Upstream, orders: Upstream) -> PlainRoute:
    """Return the route of ``/api/dashboard``."""

    async def application(_: Scope, __: Receive, send: Send) -> None:
        # At the same time: the slower one decides how long it takes, not the sum.
        found = await asyncio.gather(part(users, b"/users"), part(orders, b"/orders"))
        await send_bytes(send, 200, [JSON], compose(*found))

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
    """Return one service's list as JSON text; ``None`` when there is none to be had."""
    try:
        answer = await upstream.ask(Question(b"GET", target))
    except Problem as problem:
        log.warning("dashboard without %s: %s", upstream.name, problem.detail)
        return None
    if answer.status != 200 or not is_list(answer.body):
        log.warning("dashboard without %s: it answered %d", upstream.name, answer.status)
        return None
    return answer.body


def is_list(text: bytes) -> bool:
    """Tell whether a text is a JSON list: between our braces anything else would spoil the whole."""
    try:
        return isinstance(from_json(text, allow_inf_nan=False), list)
    except ValueError:
        return False
