"""docker-compose.yml without us: what `docker compose` alone makes of it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from environment import images
from environment.compose import COMPOSE_FILE
from environment.phases import FOLDER

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

Compose = Callable[..., str]


@pytest.fixture
def compose() -> Iterator[Compose]:
    images.build(lambda line: None)  # nothing to do when they are at hand
    program = Path(sys.executable).parent / "docker-compose"
    project = ["-f", str(COMPOSE_FILE), "-p", f"lab-plain-{os.getpid()}"]

    def run(*words: str) -> str:
        command = [str(program), "--env-file", str(FOLDER / "phase0.env"), *project, *words]
        said = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert said.returncode == 0, said.stderr
        return said.stdout.strip()

    yield run
    run("down", "--volumes")
    assert run("ps", "--all", "--quiet") == ""


def test_compose_alone_starts_the_phase_healthy_and_connected(compose: Compose) -> None:
    compose("up", "--detach", "--wait")
    address = compose("port", "order-service", "3002")
    assert address.startswith("127.0.0.1:")
    item = {"productId": "prod-1", "quantity": 1, "price": 5}
    answer = httpx.post(
        f"http://{address}/orders", json={"userId": "user-1", "items": [item]}, timeout=10
    )
    assert (answer.status_code, answer.json()["status"]) == (201, "completed")
    assert httpx.put(f"http://{address}/faults", json={}).status_code == 404, "no token, no faults"
