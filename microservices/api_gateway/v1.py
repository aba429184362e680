"""api-gateway 1: one front door for users, orders and payments."""

from contextlib import AbstractAsyncContextManager
from functools import partial

from fastapi import FastAPI

from microservices.api_gateway import api, dashboard, forward
from microservices.api_gateway.breaker import Breaker, BreakerMetrics
from microservices.api_gateway.client_address import ClientAddress
from microservices.api_gateway.computation import Computation
from microservices.api_gateway.counter import open_counter
from microservices.api_gateway.http_client.upstream import Upstream
from microservices.api_gateway.limiter import open_limiter
from microservices.api_gateway.loop_delay import LoopDelay
from microservices.api_gateway.settings import GatewaySettings
from microservices.api_gateway.shared_state import SharedState
from microservices.kit.http.app import create_app


def build(settings: GatewaySettings) -> FastAPI:
    """Compose api-gateway 1."""
    upstream = partial(
        Upstream, seconds=settings.upstream_timeout_seconds, tries=settings.retry_tries
    )
    breaker_metrics = BreakerMetrics("payment-service")
    breaker = Breaker(
        failures=settings.breaker_failures,
        open_seconds=settings.breaker_open_seconds,
        changed=breaker_metrics.changed,
    )
    users = upstream("user-service", settings.user_service_url)
    orders = upstream("order-service", settings.order_service_url)
    payments = upstream("payment-service", settings.payment_service_url, breaker=breaker)
    loop_delay, computation = LoopDelay(), Computation()
    shared = SharedState(settings.valkey_url) if settings.valkey_url else None
    parts: list[AbstractAsyncContextManager[object]] = [
        *(users.pool, orders.pool, payments.pool),
        *(loop_delay, computation),
        *([shared] if shared else []),
    ]
    app = create_app(
        service="api-gateway",
        version="1",
        settings=settings,
        routes=[dashboard.route(users, orders), *forward.routes(users, orders, payments)],
        routers=[api.router],
        parts=parts,
        needs=[shared.unavailable] if shared and settings.shares_state else [],
    )
    app.state.clients = ClientAddress(settings.trusted_proxy)
    app.state.limiter = open_limiter(settings, shared)
    app.state.counter = open_counter(settings, shared)
    app.state.loop_delay, app.state.computation = loop_delay, computation
    breaker_metrics.observe(breaker, app.state.metrics.registry)
    loop_delay.observe(app.state.metrics.registry)
    return app
