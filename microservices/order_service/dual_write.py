"""What `OUTBOX=off` shows: an order is committed, and its event is published afterwards, in a second step.

A replica that is killed between the two has the order and never publishes its event.
"""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from microservices.kit.events import outbox
from microservices.kit.events.envelope import cause_of
from microservices.kit.http import idempotency
from microservices.kit.http.strict_json import StrictRoute, json_response
from microservices.order_service import api, events, store
from microservices.order_service.model import NewOrder, Order

router = APIRouter(tags=["orders"], route_class=StrictRoute)


@router.post("/orders", status_code=201, response_model=Order, responses=api.POST_ANSWERS)
async def post_order(
    request: Request,
    new: NewOrder,
    _: Annotated[str | None, Header(alias="Idempotency-Key", description=api.KEY)] = None,
) -> Response:
    """Take an order: `pending` until payment-service has charged it."""
    state = request.app.state
    key = idempotency.idempotency_key(request)
    order = store.new_row(new, seed=state.settings.seed, key=key) | {"status": "pending"}
    record = outbox.record_of(events.created(order, new), cause_of(request))
    answer, repeated = await api.keep_once(state.database, new, key, {store.orders: order})
    if not repeated:  # a replica that is killed before the next line never publishes the event
        state.producer.send_and_forget(record)
    return json_response(answer.encode(), 200 if repeated else 201)
