"""A mutant of the circuit breaker: it counts a refusal as a failure."""

from microservices.api_gateway.breaker import Breaker
from microservices.api_gateway.http_client.connection import UpstreamResponse
from tests.mutants.gateway import run_with


def is_failure(self: Breaker, *, result: object, exception: Exception | None) -> bool:
    return exception is not None or (isinstance(result, UpstreamResponse) and result.status >= 400)


if __name__ == "__main__":
    run_with(Breaker, "is_failure", is_failure)
