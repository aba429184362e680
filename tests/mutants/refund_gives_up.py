"""A mutant of refunds: a payment-service that asks the bank three times for a refund, and no more."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from microservices.payment_service import debts
from tests.mutants.service import run_with

MOST = 3

due = debts.due


def due_until_the_third(connection: Connection, most: int) -> Sequence[Row[Any]]:
    return [row for row in due(connection, most) if row.attempts < MOST]


if __name__ == "__main__":
    run_with("payment-service", debts, "due", due_until_the_third)
