"""A mutant of coordination: an orchestrator that keeps how far its sagas are in memory."""

from sqlalchemy import Connection

from microservices.kit.events import participant
from tests.mutants.service import run_with

states: dict[str, str] = {}


def recall(_: Connection, order_id: str) -> str | None:
    return states.get(order_id)


def keep(connection: Connection, order_id: str, state: str) -> None:
    states[order_id] = state


if __name__ == "__main__":
    participant.save_state = keep
    run_with("order-service", participant, "find_state", recall)
