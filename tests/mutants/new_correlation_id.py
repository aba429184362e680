"""A mutant of story: a payment-service that starts a new correlation id with each event that it consumes."""

from dataclasses import replace
from typing import Any

from microservices.kit.events import delivery
from microservices.kit.events.envelope import Event, read_event
from microservices.kit.ids import new_id
from tests.mutants.service import run_with


def read_as_new(*args: Any, **more: Any) -> Event:
    event = read_event(*args, **more)
    return replace(event, cause=replace(event.cause, correlation_id=new_id()))


if __name__ == "__main__":
    run_with("payment-service", delivery, "read_event", read_as_new)
