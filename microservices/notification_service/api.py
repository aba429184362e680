"""The routes of every version: the notifications that were sent."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from microservices.kit.database import Database
from microservices.kit.http import pages
from microservices.kit.wire import Id, WireModel
from microservices.notification_service import store

router = APIRouter(tags=["notifications"])


class Notification(WireModel):
    """One notification. `requestedAt` is when the order ended."""

    order_id: Id
    user_id: Id
    template: Id
    requested_at: str


@router.get(
    "/notifications",
    response_model=list[Notification],
    responses=pages.RESPONSES,
    openapi_extra=pages.DESCRIBED,
)
async def list_notifications(request: Request) -> Response:
    """List the notifications, oldest first: one page, with a `Link` to the next one."""
    database: Database = request.app.state.database
    page = pages.requested_page(request)
    return pages.page_response(await database.read(store.page_of_notifications, page, wire))


def wire(notification: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the wire form of a row."""
    return {
        "orderId": notification["order_id"],
        "userId": notification["user_id"],
        "template": notification["template"],
        "requestedAt": notification["requested_at"],
    }
