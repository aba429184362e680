"""The routes of every version: the numbers of the shop."""

from collections.abc import Callable

from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection

from microservices.analytics_service.store import View
from microservices.kit.database import Database
from microservices.kit.http.problem import documented
from microservices.kit.http.strict_json import json_response
from microservices.kit.wire import WireModel, encode, from_cents


class Analytics(WireModel):
    """The numbers of the shop.

    `successRate` is a share of the orders that ended; null while none has. `ordersPerMinute` counts the
    orders made within a minute before the newest one.
    """

    total_revenue: float
    order_count: int
    successful_orders: int
    failed_orders: int
    success_rate: float | None
    orders_per_minute: int


def routes(read_view: Callable[[Connection], View]) -> APIRouter:
    """Return the routes of a version that reads its numbers with `read_view`."""
    router = APIRouter(tags=["analytics"])

    @router.get("/analytics", response_model=Analytics, responses=documented(503))
    async def get_analytics(request: Request) -> Response:
        """Show the numbers of the shop, from every event that was consumed so far."""
        database: Database = request.app.state.database
        view = await database.read(read_view)
        ended = view.successful + view.failed
        answer = {
            "totalRevenue": from_cents(view.revenue_cents),
            "orderCount": view.orders,
            "successfulOrders": view.successful,
            "failedOrders": view.failed,
            "successRate": view.successful / ended if ended else None,
            "ordersPerMinute": view.last_minute,
        }
        return json_response(encode(answer))

    return router
