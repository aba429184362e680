"""The settings of order-service."""

from pydantic import Field

from microservices.kit.settings import HttpUrl, Settings


class OrderSettings(Settings):
    """``PAYMENT_SERVICE_URL``: where payment-service answers. ``RETRY_TRIES``: how often we ask it."""

    payment_service_url: HttpUrl = "http://127.0.0.1:3003"
    retry_tries: int = Field(default=1, ge=1, le=10)
