"""A mutant of key_order: a payment-service whose events have a key that means nothing."""

from dataclasses import replace
from uuid import uuid4

from sqlalchemy import Connection

from microservices.kit.events import outbox
from microservices.kit.events.record import Record
from tests.mutants.service import run_with

first = outbox.first


def first_with_random_keys(connection: Connection, limit: int) -> list[tuple[int, Record]]:
    return [
        (position, replace(record, key=uuid4().bytes))
        for position, record in first(connection, limit)
    ]


if __name__ == "__main__":
    run_with("payment-service", outbox, "first", first_with_random_keys)
