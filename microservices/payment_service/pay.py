"""`POST /pay`: the payment over HTTP, in every version."""

import asyncio

from fastapi import APIRouter, Request, Response

from microservices.kit.database import Database
from microservices.kit.http.problem import Problem, documented
from microservices.kit.http.strict_json import StrictRoute, json_response
from microservices.kit.wire import encode, from_cents
from microservices.payment_service import store
from microservices.payment_service.model import NewPayment, Payment
from microservices.payment_service.store import Charge

router = APIRouter(tags=["payments"], route_class=StrictRoute)


@router.post("/pay", response_model=Payment, responses=documented(400, 413, 415, 422, 503))
async def pay(request: Request, payment: NewPayment) -> Response:
    """Charge an order after PAYMENT_SECONDS of work; a repeat gets the first answer at once."""
    database: Database = request.app.state.database
    charge = await database.read(store.find_charge, payment.order_id)
    if charge is None:
        # The work is done before the transaction: inside it, every other payment would wait.
        async with request.app.state.limit:
            await work(request.app.state.settings.payment_seconds)
        charge = await database.write(store.charge_once, payment.order_id, payment.amount_cents)
    check_same(charge, payment)
    return json_response(encode(answer(charge)))


async def work(seconds: float) -> None:
    """Do the work of a payment, which takes `seconds`."""
    await asyncio.sleep(seconds)


def check_same(charge: Charge, payment: NewPayment) -> None:
    """Refuse to change the amount that an order was charged.

    Raises:
        Problem: 422, the order was charged another amount.
    """
    if charge.amount_cents != payment.amount_cents:
        amount = from_cents(charge.amount_cents)
        raise Problem(422, f"order {charge.order_id} was charged {amount} before")


def answer(charge: Charge) -> dict[str, str | float]:
    """Return the wire form of a charge."""
    return {
        "paymentId": charge.payment_id,
        "orderId": charge.order_id,
        "status": "completed",
        "amount": from_cents(charge.amount_cents),
    }
