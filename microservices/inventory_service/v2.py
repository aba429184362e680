"""inventory-service 2: sets items aside and puts them back when order-service 4 asks it to."""

from fastapi import FastAPI

from microservices.inventory_service import orchestration, participation
from microservices.inventory_service.settings import InventorySettings
from microservices.kit.events.event_types import OrderConfirmed, ReleaseRequested, ReserveRequested

CONSUMES = (ReserveRequested, OrderConfirmed, ReleaseRequested)
PUBLISHES = participation.PUBLISHES
NEVER_GIVEN_UP = (OrderConfirmed, ReleaseRequested)
"""Nothing else would repair the money or the shelf: these are tried until they succeed."""

PARTICIPANT = participation.participant(orchestration.TABLE)


def build(settings: InventorySettings) -> FastAPI:
    """Compose inventory-service 2."""
    return participation.compose(
        settings,
        version="2",
        participant=PARTICIPANT,
        reserves_on=ReserveRequested,
        never_given_up=NEVER_GIVEN_UP,
    )
