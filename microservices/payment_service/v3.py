"""payment-service 3: charges an order, refuses to, or refunds it, as the saga's table says."""

from fastapi import FastAPI

from microservices.kit.events.event_types import (
    InventoryFailed,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
)
from microservices.payment_service import charging, saga
from microservices.payment_service.participation import compose
from microservices.payment_service.settings import PaymentSettings

CONSUMES = (OrderCreated, InventoryFailed, OrderConfirmed, OrderCancelled)
PUBLISHES = charging.PUBLISHES
NEVER_GIVEN_UP = (OrderCancelled,)
"""Nothing else would repair the money or the shelf: these are tried until they succeed."""

PARTICIPANT = charging.participant(saga.TABLE)


def build(settings: PaymentSettings) -> FastAPI:
    """Compose payment-service 3."""
    return compose(
        settings,
        version="3",
        participant=PARTICIPANT,
        consumes=CONSUMES,
        charges_on=OrderCreated,
        never_given_up=NEVER_GIVEN_UP,
    )
