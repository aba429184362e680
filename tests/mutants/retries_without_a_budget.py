"""A mutant of the retries: every retry is admitted, whatever the budget holds."""

from microservices.api_gateway.budget import RetryBudget
from tests.mutants.gateway import run_with


def spend(self: RetryBudget) -> bool:
    return True


if __name__ == "__main__":
    run_with(RetryBudget, "spend", spend)
