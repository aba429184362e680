"""A mutant of deadline: an order-service that cancels no order that waits too long."""

from sqlalchemy import Connection

from microservices.kit.points import Points
from microservices.order_service import v3
from tests.mutants.service import run_with


def cancel_nothing(connection: Connection, *, points: Points) -> bool:
    return False


if __name__ == "__main__":
    run_with("order-service", v3, "cancel_overdue", cancel_nothing)
