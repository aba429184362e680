"""A mutant of the dual write: an order-service that publishes after the commit, whatever its settings."""

from fastapi import FastAPI

from microservices.order_service import v2
from microservices.order_service.settings import OrderSettings
from tests.mutants.service import run_with

build = v2.build


def build_without_outbox(settings: OrderSettings) -> FastAPI:
    return build(settings.model_copy(update={"outbox": "off"}))


if __name__ == "__main__":
    run_with("order-service", v2, "build", build_without_outbox)
