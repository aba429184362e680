"""The routes of every version: the orders it has."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic_core import from_json
from sqlalchemy.exc import IntegrityError

from microservices.kit.database import Database, Rows
from microservices.kit.http import idempotency, pages
from microservices.kit.http.idempotency import Claim
from microservices.kit.http.problem import Problem, documented
from microservices.kit.http.strict_json import json_response
from microservices.kit.wire import Id, encode, from_cents
from microservices.order_service import store
from microservices.order_service.model import NewOrder, Order, OrderDetail

router = APIRouter(tags=["orders"])

KEY = "Per user: a repeat with the same key and body gets the first answer, and changes nothing."
POST_ANSWERS: dict[int | str, dict[str, Any]] = documented(400, 413, 415, 422, 503) | {
    200: {"model": Order, "description": "A repeat: the first answer"}
}


@router.get(
    "/orders",
    response_model=list[Order],
    responses=pages.RESPONSES,
    openapi_extra=pages.DESCRIBED,
)
async def list_orders(request: Request) -> Response:
    """List the orders, oldest first: one page, with a `Link` to the next one."""
    database: Database = request.app.state.database
    page = pages.requested_page(request)
    return pages.page_response(await database.read(store.page_of_orders, page, wire))


@router.get("/orders/{id}", response_model=OrderDetail, responses=documented(404, 422, 503))
async def get_order(request: Request, id: Id) -> Response:
    """Show one order, and why it was cancelled."""
    database: Database = request.app.state.database
    row = await database.read(store.find_order, id)
    if row is None:
        raise Problem(404, f"no order {id}")
    reason = {"cancellationReason": row.cancellation_reason}
    return json_response(encode(wire(row._mapping) | reason))


async def keep(database: Database, rows: Rows, claim: Claim | None) -> tuple[str, bool]:
    """Insert an order, the rows that go with it, and the answer under its key.

    All in one transaction: either all of them are stored, or none.

    Returns:
        The answer, and whether it is a repeat: that of a request which took over an expired claim.
    """
    order = rows[store.orders]
    assert isinstance(order, dict)
    text = answer(order)
    if claim is None:
        await database.insert(rows)
        return text, False
    try:
        await database.insert(rows, idempotency.answer, store.answers, claim, text)
    except IntegrityError:
        first = await database.read(idempotency.stored_answer, store.answers, claim)
        if first is None:
            raise
        return first, True
    return text, False


async def keep_once(
    database: Database, new: NewOrder, key: str | None, rows: Rows
) -> tuple[str, bool]:
    """Keep an order and its rows, once for each key; return the answer, and whether it is a repeat."""
    if key is None:
        return await keep(database, rows, None)
    claimed = await idempotency.claim_or_answer(
        database,
        store.answers,
        user_id=new.user_id,
        key=key,
        asked=idempotency.fingerprint(new),
    )
    if isinstance(claimed, str):
        return claimed, True
    return await keep(database, rows, claimed)


def answer(order: Mapping[Any, Any]) -> str:
    """Return the answer to a client that ordered."""
    return encode(wire(order)).decode()


def wire(order: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the wire form of a row."""
    return {
        "id": order["id"],
        "userId": order["user_id"],
        "items": from_json(order["items"]),
        "total": from_cents(order["total_cents"]),
        "status": order["status"],
        "createdAt": order["created_at"],
    }
