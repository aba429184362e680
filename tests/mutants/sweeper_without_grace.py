"""A mutant of deadline: an order-service that counts deadlines before it has read the answers that waited."""

from typing import Any

from microservices.kit.events.periodic import Task
from microservices.order_service import v3
from tests.mutants.service import run_with


def at_once(run: Any, listening_seconds: float, name: str) -> Task:
    return Task(run, name=name)


if __name__ == "__main__":
    run_with("order-service", v3, "Task", at_once)
