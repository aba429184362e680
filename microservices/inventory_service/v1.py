"""inventory-service 1: sets the items of a paid order aside, and sells them or puts them back when the order ends."""

from fastapi import FastAPI

from microservices.inventory_service import participation, saga
from microservices.inventory_service.settings import InventorySettings
from microservices.kit.events.event_types import OrderCancelled, OrderConfirmed, PaymentCompleted

CONSUMES = (PaymentCompleted, OrderConfirmed, OrderCancelled)
PUBLISHES = participation.PUBLISHES
NEVER_GIVEN_UP = (OrderConfirmed, OrderCancelled)
"""Nothing else would repair the money or the shelf: these are tried until they succeed."""

PARTICIPANT = participation.participant(saga.TABLE)


def build(settings: InventorySettings) -> FastAPI:
    """Compose inventory-service 1."""
    return participation.compose(
        settings,
        version="1",
        participant=PARTICIPANT,
        reserves_on=PaymentCompleted,
        never_given_up=NEVER_GIVEN_UP,
    )
