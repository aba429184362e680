"""A mutant of duration: an inventory-service that asks two shelves, the second one after the first has answered."""

from typing import Any

from microservices.inventory_service import participation
from microservices.kit.events.consumer_config import Handler
from microservices.kit.events.envelope import Event
from tests.mutants.service import run_with


def in_series(kind: Any, effect: Any, work: Any = None, **more: Any) -> Handler:
    async def twice(event: Event) -> None:
        await work(event)
        await work(event)

    return Handler(kind, effect, twice if work else None, **more)


if __name__ == "__main__":
    run_with("inventory-service", participation, "Handler", in_series)
