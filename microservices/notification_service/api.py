"""The routes of every version: the notifications that were sent."""

from fastapi import APIRouter, Request, Response

from microservices.kit.database import Database
from microservices.kit.http.problem import documented
from microservices.kit.http.strict_json import json_response
from microservices.kit.wire import Id, WireModel, encode
from microservices.notification_service import store

router = APIRouter(tags=["notifications"])


class Notification(WireModel):
    """One notification. `requestedAt` is when the order ended."""

    order_id: Id
    user_id: Id
    template: Id
    requested_at: str


@router.get("/notifications", response_model=list[Notification], responses=documented(503))
async def list_notifications(request: Request) -> Response:
    """List every notification, oldest first."""
    database: Database = request.app.state.database
    sent = [
        {
            "orderId": row.order_id,
            "userId": row.user_id,
            "template": row.template,
            "requestedAt": row.requested_at,
        }
        for row in await database.read(store.all_notifications)
    ]
    return json_response(encode(sent))
