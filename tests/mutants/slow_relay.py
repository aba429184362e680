"""A mutant of saga_throughput: a payment-service whose relay looks every half a second, and which no commit wakes."""

import asyncio

from microservices.kit.events.relay import Relay
from tests.mutants.service import run_with


async def later(_: Relay) -> None:
    await asyncio.sleep(0.5)


if __name__ == "__main__":
    run_with("payment-service", Relay, "_woken_or_later", later)
