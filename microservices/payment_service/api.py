"""The routes of every version: the ledger."""

from fastapi import APIRouter, Request, Response

from microservices.kit.database import Database
from microservices.kit.http.problem import documented
from microservices.kit.http.strict_json import json_response
from microservices.kit.wire import encode, from_cents
from microservices.payment_service import store
from microservices.payment_service.model import CUSTOMERS, SHOP, Ledger

router = APIRouter(tags=["payments"])


@router.get("/ledger", response_model=Ledger, responses=documented(503))
async def get_ledger(request: Request) -> Response:
    """Show all charges and refunds, and the balances."""
    database: Database = request.app.state.database
    rows = await database.read(store.all_charges)
    taken = from_cents(sum(cents for _, cents in rows))
    ledger = {
        "charges": [{"orderId": order_id, "amount": from_cents(cents)} for order_id, cents in rows],
        "refunds": [],
        "balances": {CUSTOMERS: -taken, SHOP: taken},
    }
    return json_response(encode(ledger))
