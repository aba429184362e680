"""payment-service 1: charges when a request over HTTP asks for it."""

from fastapi import FastAPI

from microservices.kit.concurrency_limit import ConcurrencyLimit
from microservices.kit.database import open_database
from microservices.kit.http.app import create_app
from microservices.payment_service import api, pay, store
from microservices.payment_service.settings import PaymentSettings


def build(settings: PaymentSettings) -> FastAPI:
    """Compose payment-service 1."""
    app = create_app(
        service="payment-service",
        version="1",
        settings=settings,
        database=open_database("payment-service", settings),
        create_tables=store.create_tables,
        routers=[pay.router, api.router],
    )
    app.state.limit = ConcurrencyLimit(settings.payment_slots)
    return app
