"""order-service 1: calls payment-service over HTTP, and waits for the payment."""

from typing import Annotated

from fastapi import APIRouter, FastAPI, Header, Request, Response

from microservices.kit.database import Database, open_database
from microservices.kit.http import idempotency
from microservices.kit.http.app import create_app
from microservices.kit.http.client import open_client
from microservices.kit.http.idempotency import Claim
from microservices.kit.http.problem import Problem
from microservices.kit.http.strict_json import StrictRoute, json_response
from microservices.kit.wire import from_cents
from microservices.order_service import api, model, payment, store
from microservices.order_service.model import NewOrder, Order
from microservices.order_service.settings import OrderSettings

router = APIRouter(tags=["orders"], route_class=StrictRoute)


@router.post("/orders", status_code=201, response_model=Order, responses=api.POST_ANSWERS)
async def post_order(
    request: Request,
    new: NewOrder,
    _: Annotated[str | None, Header(alias="Idempotency-Key", description=api.KEY)] = None,
) -> Response:
    """Take an order: `completed` when it was paid, `cancelled` when payment was refused.

    503, and no order, when payment-service does not answer.
    """
    key = idempotency.idempotency_key(request)
    if key is None:
        return await take_order(request, new, None)
    database: Database = request.app.state.database
    claimed = await idempotency.claim_or_answer(
        database,
        store.answers,
        user_id=new.user_id,
        key=key,
        asked=idempotency.fingerprint(new),
    )
    if isinstance(claimed, str):
        return json_response(claimed.encode())
    return await take_order(request, new, claimed)


async def take_order(request: Request, new: NewOrder, claim: Claim | None) -> Response:
    """Have the order paid, store it, and answer.

    payment-service charges an order id once, so a repeat after a crash is safe.
    """
    settings, database = request.app.state.settings, request.app.state.database
    database.check()  # a payment for an order that cannot be stored would have to be given back
    order = store.new_row(new, seed=settings.seed, key=claim.key if claim else None)
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
    answer, repeated = await api.keep(database, {store.orders: order}, claim)
    return json_response(answer.encode(), 200 if repeated else 201)


def status_after(reason: str | None) -> model.Status:
    """Return the status of an order, given the reason for which its payment was refused, if it was."""
    return "completed" if reason is None else "cancelled"


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
