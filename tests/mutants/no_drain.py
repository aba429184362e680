"""A mutant of rolling replacement: a user-service that ends at SIGTERM, whatever it is at work on."""

import os
from types import FrameType

from microservices.kit.drain import DrainingServer
from tests.mutants.service import run_with


def leave(self: DrainingServer, sig: int, frame: FrameType | None) -> None:
    os._exit(0)


if __name__ == "__main__":
    run_with("user-service", DrainingServer, "handle_exit", leave)
