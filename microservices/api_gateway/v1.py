"""api-gateway 1: one front door for users, orders and payments."""

from functools import partial

from fastapi import FastAPI

from microservices.api_gateway import api, dashboard, forward
from microservices.api_gateway.breaker import Breaker
from microservices.api_gateway.settings import GatewaySettings
from microservices.api_gateway.upstream import Upstream
from microservices.kit.app import create_app


def build(settings: GatewaySettings) -> FastAPI:
    """Compose api-gateway 1."""
    upstream = partial(
        Upstream, seconds=settings.upstream_timeout_seconds, tries=settings.retry_tries
    )
    breaker = Breaker(
        "payment-service",
        failures=settings.breaker_failures,
        open_seconds=settings.breaker_open_seconds,
    )
    users = upstream("user-service", settings.user_service_url)
    orders = upstream("order-service", settings.order_service_url)
    payments = upstream("payment-service", settings.payment_service_url, breaker=breaker)
    app = create_app(
        service="api-gateway",
        version="1",
        settings=settings,
        routes=[dashboard.route(users, orders), *forward.routes(users, orders, payments)],
        routers=[api.router],
        parts=[users.pool, orders.pool, payments.pool],
    )
    breaker.observe(app.state.metrics.registry)
    return app
