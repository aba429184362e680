"""The settings of payment-service."""

from typing import Literal

from pydantic import Field

from microservices.kit.settings import Settings


class PaymentSettings(Settings):
    """The settings of all versions.

    `PAYMENT_SECONDS`: how long the work on one payment takes, in seconds. `PAYMENT_SLOTS`: how many of
    them a replica works on at once, 0 for any number.

    Of version 2 and later: `INBOX=off` charges an order as often as its event is delivered. An event
    that fails is tried `RETRY_TRIES` times (the first one counts), after `RETRY_BACKOFF_SECONDS`, then
    after twice that time, then after four times.
    """

    payment_seconds: float = Field(default=2, ge=0, le=60, allow_inf_nan=False)
    payment_slots: int = Field(default=0, ge=0, le=1000)
    inbox: Literal["on", "off"] = "on"
    retry_tries: int = Field(default=3, ge=1, le=10)
    retry_backoff_seconds: float = Field(default=0.2, gt=0, le=10, allow_inf_nan=False)
    payment_failure_rate: float = Field(default=0, ge=0, le=1, allow_inf_nan=False)
    refund_failure_rate: float = Field(default=0, ge=0, lt=1, allow_inf_nan=False)
