"""A mutant of coordination: an orchestrator that asks for the items at once, beside the charge."""

from typing import Any

from microservices.kit.events.event_types import Data, ReserveRequested
from microservices.order_service import v4
from microservices.order_service.model import NewOrder
from tests.mutants.service import run_with

first_events = v4.first_events


def ask_for_both(order: dict[str, Any], new: NewOrder) -> list[Data]:
    return [
        *first_events(order, new),
        ReserveRequested.new(order_id=order["id"], items=new.items),
    ]


if __name__ == "__main__":
    run_with("order-service", v4, "first_events", ask_for_both)
