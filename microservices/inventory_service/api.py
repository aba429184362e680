"""The routes of every version: what is on the shelf."""

from fastapi import APIRouter, Request, Response

from microservices.inventory_service import store
from microservices.kit.database import Database
from microservices.kit.http.problem import documented
from microservices.kit.http.strict_json import json_response
from microservices.kit.wire import WireModel, encode

router = APIRouter(tags=["inventory"])


class Shelf(WireModel):
    """One product: how many are on the shelf, and how many of these are set aside for orders."""

    on_hand: int
    reserved: int


@router.get("/stock", response_model=dict[str, Shelf], responses=documented(503))
async def get_stock(request: Request) -> Response:
    """Show every product."""
    database: Database = request.app.state.database
    rows = await database.read(store.shelf)
    stock = {row.product_id: {"onHand": row.on_hand, "reserved": row.reserved} for row in rows}
    return json_response(encode(stock))
