"""A mutant of the rate limit: a gateway that admits every request."""

from microservices.api_gateway.limiter import Limiter, Verdict
from tests.mutants.gateway import run_with


async def admit(self: Limiter, client: str) -> Verdict:
    return Verdict(admitted=True, limit=5, window_seconds=10, remaining=5, reset_seconds=10)


if __name__ == "__main__":
    run_with(Limiter, "hit", admit)
