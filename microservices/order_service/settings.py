"""The settings of order-service."""

from typing import Literal

from pydantic import Field

from microservices.kit.settings import HttpUrl, Settings


class OrderSettings(Settings):
    """The settings of all versions.

    Of version 1: `PAYMENT_SERVICE_URL`, the address of payment-service, and `RETRY_TRIES`, how often a payment is
    tried. Of version 2 and later: `OUTBOX=off` publishes OrderCreated after the commit, which
    loses the event when the service is killed in between. Of version 3 and later: an order that is pending after
    `SAGA_TIMEOUT_SECONDS` is cancelled.
    """

    payment_service_url: HttpUrl = "http://127.0.0.1:3003"
    retry_tries: int = Field(default=1, ge=1, le=10)
    outbox: Literal["on", "off"] = "on"
    saga_timeout_seconds: float = Field(default=30, gt=0, le=3600, allow_inf_nan=False)
