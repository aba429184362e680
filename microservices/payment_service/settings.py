"""The settings of payment-service."""

from pydantic import Field

from microservices.kit.settings import Settings


class PaymentSettings(Settings):
    """``PAYMENT_SECONDS``: how long the work on one payment takes, in seconds."""

    payment_seconds: float = Field(default=2, ge=0, le=60, allow_inf_nan=False)
