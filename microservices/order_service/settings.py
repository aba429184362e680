"""The settings of order-service."""

from typing import Literal

from pydantic import Field

from microservices.kit.settings import HttpUrl, Settings


class OrderSettings(Settings):
    """Of version 1: `PAYMENT_SERVICE_URL` and `RETRY_TRIES`, where and how often payment is asked.

    Of version 2 and later: `OUTBOX=off` sends OrderCreated after the commit, which loses it when
    the service is killed in between.
    """

    payment_service_url: HttpUrl = "http://127.0.0.1:3003"
    retry_tries: int = Field(default=1, ge=1, le=10)
    outbox: Literal["on", "off"] = "on"
