"""A mutant of the circuit breaker: it counts a refusal as a failure."""

from microservices.api_gateway.breaker import Breaker
from tests.mutants.gateway import run_with


def is_failure(self: Breaker, status: int) -> bool:
    return status >= 400


if __name__ == "__main__":
    run_with(Breaker, "is_failure", is_failure)
