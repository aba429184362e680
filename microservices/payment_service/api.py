"""The routes of every version: the ledger."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from microservices.kit.database import Database
from microservices.kit.http import pages
from microservices.kit.http.strict_json import json_response
from microservices.kit.wire import encode, from_cents
from microservices.payment_service import ledger
from microservices.payment_service.model import CUSTOMERS, OWED, SHOP, Ledger

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
    page = await database.read(ledger.read_ledger, wanted, wire)
    # Each charge, debt and refund moves its amount from one account to another, so that the sum stays 0.
    balances = {
        CUSTOMERS: from_cents(page.refunded - page.charged),
        SHOP: from_cents(page.charged - page.owed - page.refunded),
        OWED: from_cents(page.owed),
    }
    parts = (page.charges.rows, encode(page.refunds), encode(balances))
    answer = b'{"charges":%b,"refunds":%b,"balances":%b}' % parts
    return json_response(answer, headers=page.charges.headers)


def wire(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the wire form of a charge, or of a refund."""
    return {"orderId": row["order_id"], "amount": from_cents(row["amount_cents"])}
