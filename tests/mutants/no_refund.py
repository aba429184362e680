"""A mutant of money: a payment-service that refunds nothing."""

from tests.mutants.saga_cells import run_design

if __name__ == "__main__":
    run_design("no-refund", "payment-service")
