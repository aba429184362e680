"""A mutant of the limit: LIMIT_STORE=valkey that keeps each replica's window in its own memory."""

from limits.aio.storage import MemoryStorage, Storage

from microservices.api_gateway import limiter
from microservices.api_gateway.settings import GatewaySettings
from tests.mutants.gateway import run_with


def open_memory(settings: GatewaySettings) -> Storage:
    return MemoryStorage()


if __name__ == "__main__":
    run_with(limiter, "open_store", open_memory)
