"""order-service 1: has an order paid over HTTP, and waits for it."""

from typing import Annotated, Any, cast

from fastapi import APIRouter, FastAPI, Header, Request, Response
from sqlalchemy import Connection

from microservices.kit import idempotency
from microservices.kit.app import create_app
from microservices.kit.client import open_client
from microservices.kit.database import Database, open_database
from microservices.kit.idempotency import Claim
from microservices.kit.problem import Problem, documented
from microservices.kit.wire import StrictRoute, encode, from_cents, json_response
from microservices.order_service import api, model, payment, store
from microservices.order_service.model import NewOrder, Order
from microservices.order_service.settings import OrderSettings

router = APIRouter(tags=["orders"], route_class=StrictRoute)

KEY = "Per user: a repeat with the same key and body gets the first answer, and pays nothing."
PROBLEMS = documented(400, 413, 415, 422, 503)
REPEATED: dict[int | str, dict[str, Any]] = {
    200: {"model": Order, "description": "A repeat: the first answer"}
}


@router.post("/orders", status_code=201, response_model=Order, responses=PROBLEMS | REPEATED)
async def post_order(
    request: Request,
    new: NewOrder,
    _: Annotated[str | None, Header(alias="Idempotency-Key", description=KEY)] = None,
) -> Response:
    """Take an order: ``completed`` when it was paid, ``cancelled`` when payment was refused.

    503, and no order, when payment-service does not answer.
    """
    key = idempotency.idempotency_key(request)
    if key is None:
        return json_response((await take_order(request, new, None)).encode(), 201)
    database: Database = request.app.state.database
    found = await idempotency.claim_or_answer(
        database,
        store.answers,
        user_id=new.user_id,
        key=key,
        asked=idempotency.fingerprint(new),
    )
    if isinstance(found, str):
        return json_response(found.encode())
    return json_response((await take_order(request, new, found)).encode(), 201)


async def take_order(request: Request, new: NewOrder, claim: Claim | None) -> str:
    """Have the order paid, store it, and return the answer.

    payment-service charges an order id once, so paying again after a crash does no harm.
    """
    settings, database = request.app.state.settings, request.app.state.database
    order = describe(new, seed=settings.seed, key=claim.key if claim else None)
    amount = from_cents(order["total_cents"])
    try:
        reason = await payment.pay(
            request.app.state.client,
            order_id=order["id"],
            amount=amount,
            tries=settings.retry_tries,
        )
    except Problem:
        if claim:
            await database.write(idempotency.release, store.answers, claim)
        raise
    order |= {"status": status_after(reason), "cancellation_reason": reason}
    return cast(str, await database.write(store_order, order, claim))


def describe(new: NewOrder, *, seed: int, key: str | None) -> dict[str, Any]:
    """Return the row of a new order, before it is paid."""
    return {
        "id": model.order_id(seed=seed, user_id=new.user_id, key=key),
        "user_id": new.user_id,
        "items": store.items_column(new.items),
        "total_cents": model.sum_of(new.items),
        "created_at": model.now(),
    }


def status_after(reason: str | None) -> model.Status:
    """Return the status of an order, given why its payment was refused, if it was."""
    return "completed" if reason is None else "cancelled"


def store_order(connection: Connection, order: dict[str, Any], claim: Claim | None) -> str:
    """Store an order, and the answer under its key, in one transaction; return the answer."""
    answer = encode(api.wire(order)).decode()
    if claim:
        idempotency.answer(connection, store.answers, claim, answer)
    store.add_order(connection, order)
    return answer


def build(settings: OrderSettings) -> FastAPI:
    """Compose order-service 1."""
    return create_app(
        service="order-service",
        version="1",
        settings=settings,
        database=open_database("order-service", settings),
        create_tables=store.create_tables,
        routers=[router, api.router],
        client=open_client(settings.payment_service_url, seconds=payment.PAY_SECONDS),
    )
