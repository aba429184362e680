"""A mutant of windows: an analytics-service that counts each event at the time at which it reads it."""

from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import Connection

from microservices.analytics_service import v2
from microservices.kit.events.envelope import Event
from tests.mutants.service import run_with

consume = v2.consume


def consume_as_of_now(connection: Connection, event: Event) -> None:
    consume(connection, replace(event, timestamp=datetime.now(UTC).isoformat()))


if __name__ == "__main__":
    run_with("analytics-service", v2, "consume", consume_as_of_now)
