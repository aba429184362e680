"""The route by which a participant of a saga shows the state of an order."""

from collections.abc import Callable

from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection

from microservices.kit.database import Database
from microservices.kit.http.problem import documented
from microservices.kit.http.strict_json import json_response
from microservices.kit.wire import Id, WireModel, encode


class SagaState(WireModel):
    """The state of one order at one participant."""

    order_id: str
    state: str


def saga_router(find: Callable[[Connection, str], str]) -> APIRouter:
    """Return the route of a participant whose states `find` reads."""
    router = APIRouter(tags=["saga"])

    @router.get("/sagas/{id}", response_model=SagaState, responses=documented(422, 503))
    async def get_saga(request: Request, id: Id) -> Response:
        """Show the state of an order here, as the saga's table names it; `none` for one that this service never met."""
        database: Database = request.app.state.database
        return json_response(encode({"orderId": id, "state": await database.read(find, id)}))

    return router
