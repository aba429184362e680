"""The settings of api-gateway."""

from typing import Literal, Self

from pydantic import Field, model_validator

from microservices.kit.settings import HttpUrl, Settings, ValkeyUrl


class GatewaySettings(Settings):
    """Addresses of the services, and how the gateway treats them and its clients.

    `TRUSTED_PROXY` is the one peer whose `X-Real-IP` is accepted, `host` or `host:port` (the port is
    ignored); without it no peer is trusted.
    """

    user_service_url: HttpUrl = "http://127.0.0.1:3001"
    order_service_url: HttpUrl = "http://127.0.0.1:3002"
    payment_service_url: HttpUrl = "http://127.0.0.1:3003"
    valkey_url: ValkeyUrl | None = None
    counter_store: Literal["memory", "getset", "incr"] = "memory"
    limit_store: Literal["memory", "valkey"] = "memory"
    limit_window: Literal["moving", "fixed"] = "moving"
    limit_requests: int = Field(default=5, ge=1, le=1000)
    limit_seconds: int = Field(default=10, ge=1, le=3600)
    breaker_failures: int = Field(default=3, ge=1, le=1000)
    breaker_open_seconds: float = Field(default=5, gt=0, le=3600, allow_inf_nan=False)
    upstream_timeout_seconds: float = Field(default=30, gt=0, le=3600, allow_inf_nan=False)
    retry_tries: int = Field(default=1, ge=1, le=10)
    auth_token: str = "demo-token"
    trusted_proxy: str = Field(default="", pattern=r"^([A-Za-z0-9._-]+(:\d{1,5})?)?$")

    @property
    def shares_state(self) -> bool:
        """True when replicas count or limit together, in Valkey."""
        return self.counter_store != "memory" or self.limit_store == "valkey"

    @model_validator(mode="after")
    def _shared_state_has_a_home(self) -> Self:
        if self.shares_state and self.valkey_url is None:
            raise ValueError("LIMIT_STORE=valkey and COUNTER_STORE=getset|incr need a VALKEY_URL")
        return self
