"""A mutant of what may be given up: a payment-service that gives up every event, a compensation too."""

from typing import Any

from microservices.kit.events.consumer_config import Handler
from microservices.payment_service import participation
from tests.mutants.service import run_with


def giving_up(kind: Any, effect: Any, work: Any = None, give_up: bool = True) -> Handler:
    return Handler(kind, effect, work)


if __name__ == "__main__":
    run_with("payment-service", participation, "Handler", giving_up)
