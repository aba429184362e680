"""The dashboard: two services requested at the same time, and a response even when one of them fails."""

import asyncio
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field
from pydantic_core import from_json
from starlette.types import Receive, Scope, Send

from microservices.api_gateway.forward import PlainRoute, send_bytes
from microservices.api_gateway.http_client.connection import TooLarge
from microservices.api_gateway.http_client.upstream import Upstream, UpstreamRequest
from microservices.kit.http.problem import Problem
from microservices.kit.wire import WireModel, encode

log = logging.getLogger(__name__)

JSON = (b"content-type", b"application/json")
NEXT = re.compile(rb'<(\?[\w=&%.-]+)>; *rel="?next"?')
SERVICES = {"users": "user-service", "orders": "order-service"}


class Dashboard(WireModel):
    """What both services hold, `partial` when that is not all of it.

    A list is null when its service is named in `unavailable`, or in `tooLarge`: it answered with more than the
    gateway holds. A list in `next` is a first page, and the next one is at that address. `tooLarge` and `next` are
    absent when they are empty.
    """

    users: list[dict[str, object]] | None
    orders: list[dict[str, object]] | None
    partial: bool
    unavailable: list[str]
    too_large: list[str] = Field(default_factory=list)
    next: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """One service's list as JSON text, `None` when the service gives none, and the query of its next page."""

    text: bytes | None
    next: str = ""
    too_large: bool = False


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


def compose(users: Part, orders: Part) -> bytes:
    """Return the dashboard around the JSON texts of two lists, which are not decoded for it."""
    parts = {"users": users, "orders": orders}
    too_large = [SERVICES[name] for name, part in parts.items() if part.too_large]
    unavailable = [
        SERVICES[name] for name, part in parts.items() if part.text is None and not part.too_large
    ]
    more = {name: f"/api/{name}{part.next}" for name, part in parts.items() if part.next}
    rest: dict[str, object] = {
        "partial": bool(unavailable or too_large or more),
        "unavailable": unavailable,
        **({"tooLarge": too_large} if too_large else {}),
        **({"next": more} if more else {}),
    }
    texts = users.text or b"null", orders.text or b"null"
    return b'{"users":%b,"orders":%b,%b' % (*texts, encode(rest)[1:])


async def part(upstream: Upstream, target: bytes) -> Part:
    """Return one service's list."""
    try:
        response = await upstream.send(UpstreamRequest(b"GET", target))
    except Problem as problem:
        log.warning("dashboard without %s: %s", upstream.name, problem.detail)
        return Part(None, too_large=isinstance(problem.__cause__, TooLarge))
    if response.status != 200 or not is_list(response.body):
        log.warning("dashboard without %s: it answered %d", upstream.name, response.status)
        return Part(None)
    return Part(response.body, next_page(response.headers))


def next_page(headers: Sequence[tuple[bytes, bytes]]) -> str:
    """Return the query of the page that a `Link` header leads to, empty when there is none."""
    links = [NEXT.fullmatch(value) for name, value in headers if name == b"link"]
    return next((link[1].decode() for link in links if link), "")


def is_list(text: bytes) -> bool:
    """Return whether a text is a JSON list: anything else would make the whole document invalid."""
    try:
        return isinstance(from_json(text, allow_inf_nan=False), list)
    except ValueError:
        return False
