"""A mutant of duplicates: a payment-service without an inbox, whatever its settings."""

from fastapi import FastAPI

from microservices.payment_service import v2
from microservices.payment_service.settings import PaymentSettings
from tests.mutants.service import run_with

build = v2.build


def build_without_inbox(settings: PaymentSettings) -> FastAPI:
    return build(settings.model_copy(update={"inbox": "off"}))


if __name__ == "__main__":
    run_with("payment-service", v2, "build", build_without_inbox)
