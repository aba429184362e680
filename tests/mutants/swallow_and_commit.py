"""A mutant of dead letters: a consumer that moves past messages it cannot use, without a dead letter."""

from microservices.kit.events.delivery import Abandoned, Delivery
from tests.mutants.service import run_with


async def settle_anyhow(delivery: Delivery) -> None:
    try:
        if delivery.event is not None:
            await delivery._attempt(delivery.event)
    except Abandoned:
        raise
    except Exception:
        return


if __name__ == "__main__":
    run_with("order-service", Delivery, "settle", settle_anyhow)
