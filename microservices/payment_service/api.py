"""The routes of every version: the ledger."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from microservices.kit.database import Database
from microservices.kit.http import pages
from microservices.kit.http.strict_json import json_response
from microservices.kit.wire import encode, from_cents
from microservices.payment_service import store
from microservices.payment_service.model import CUSTOMERS, SHOP, Ledger

router = APIRouter(tags=["payments"])


@router.get(
    "/ledger", response_model=Ledger, responses=pages.RESPONSES, openapi_extra=pages.DESCRIBED
)
async def get_ledger(request: Request) -> Response:
    """Show charges and refunds, oldest first: one page, with a `Link` to the next one.

    The balances are those of all charges and refunds, on each page.
    """
    database: Database = request.app.state.database
    wanted = pages.requested_page(request)
    page, cents = await database.read(store.page_of_charges, wanted, wire)
    taken = from_cents(cents)
    balances = encode({CUSTOMERS: -taken, SHOP: taken})
    ledger = b'{"charges":%b,"refunds":[],"balances":%b}' % (page.rows, balances)
    return json_response(ledger, headers=page.headers)


def wire(charge: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the wire form of a charge."""
    return {"orderId": charge["order_id"], "amount": from_cents(charge["amount_cents"])}
