"""A mutant of outcomes: a payment-service that tosses its coin anew whenever it needs one."""

import random

from microservices.payment_service import charging
from microservices.payment_service.settings import PaymentSettings
from tests.mutants.service import run_with


def toss(order_id: str, settings: PaymentSettings) -> bool:
    return random.random() < settings.payment_failure_rate


if __name__ == "__main__":
    run_with("payment-service", charging, "is_refused", toss)
