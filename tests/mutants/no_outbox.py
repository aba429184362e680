"""A mutant of crash anywhere: an order-service whose outbox is lost with its process, as if there were none."""

from sqlalchemy import Connection

from microservices.kit.events import outbox
from microservices.kit.events.relay import Relay
from tests.mutants.service import run_with

enter = Relay.__aenter__


def forget(connection: Connection) -> None:
    connection.execute(outbox.table.delete())


async def enter_without_the_past(relay: Relay) -> Relay:
    await relay._database.write(forget)
    return await enter(relay)


if __name__ == "__main__":
    run_with("order-service", Relay, "__aenter__", enter_without_the_past)
