"""A mutant of outcomes: a payment-service whose coin is Python's hash, which differs from process to process."""

from microservices.payment_service import charging
from microservices.payment_service.settings import PaymentSettings
from tests.mutants.service import run_with


def toss(order_id: str, settings: PaymentSettings) -> bool:
    return hash((settings.seed, order_id)) % 1000 < 1000 * settings.payment_failure_rate


if __name__ == "__main__":
    run_with("payment-service", charging, "is_refused", toss)
