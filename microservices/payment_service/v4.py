"""payment-service 4: charges and refunds an order when order-service 4 asks it to."""

from fastapi import FastAPI

from microservices.kit.events.event_types import ChargeRequested, OrderConfirmed, RefundRequested
from microservices.payment_service import charging, orchestration
from microservices.payment_service.participation import compose
from microservices.payment_service.settings import PaymentSettings

CONSUMES = (ChargeRequested, RefundRequested, OrderConfirmed)
PUBLISHES = charging.PUBLISHES
NEVER_GIVEN_UP = (RefundRequested,)
"""Nothing else would repair the money: it is tried until it succeeds."""

PARTICIPANT = charging.participant(orchestration.TABLE)


def build(settings: PaymentSettings) -> FastAPI:
    """Compose payment-service 4."""
    return compose(
        settings,
        version="4",
        participant=PARTICIPANT,
        consumes=CONSUMES,
        charges_on=ChargeRequested,
        never_given_up=NEVER_GIVEN_UP,
    )
