"""A mutant of aggregation: a dashboard that requests the orders after it has received the users."""

from starlette.types import Receive, Scope, Send

from microservices.api_gateway import dashboard
from microservices.api_gateway.forward import PlainRoute, send_bytes
from microservices.api_gateway.http_client.upstream import Upstream
from tests.mutants.gateway import run_with


def sequential_route(users: Upstream, orders: Upstream) -> PlainRoute:
    async def application(_: Scope, __: Receive, send: Send) -> None:
        first = await dashboard.part(users, b"/users")
        second = await dashboard.part(orders, b"/orders")
        await send_bytes(send, 200, [dashboard.JSON], dashboard.compose(first, second))

    return PlainRoute("/api/dashboard", application, methods=["GET"], summary="One after the other")


if __name__ == "__main__":
    run_with(dashboard, "route", sequential_route)
