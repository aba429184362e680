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
from environment.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

Compose = Callable[..., str]


@pytest.fixture
def compose(request: pytest.FixtureRequest) -> Iterator[Compose]:
    images.build(lambda line: None)  # nothing to do when they are at hand
    if request.param == "phase4":
        images.build_kafka(lambda line: None)
    program = Path(sys.executable).parent / "docker-compose"
    project = ["-f", str(COMPOSE_FILE), "-p", f"lab-plain-{os.getpid()}"]

    def run(*words: str) -> str:
        phase = str(FOLDER / f"{request.param}.env")
        command = [str(program), "--env-file", phase, *project, *words]
        said = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert said.returncode == 0, said.stderr
        return said.stdout.strip()

    yield run
    run("down", "--volumes")
    assert run("ps", "--all", "--quiet") == ""


ITEMS = [{"productId": "prod-1", "quantity": 1, "price": 5}]


@pytest.mark.parametrize("compose", ["phase0"], indirect=True)
def test_compose_alone_starts_the_phase_healthy_and_connected(compose: Compose) -> None:
    compose("up", "--detach", "--wait")
    address = compose("port", "order-service", "3002")
    assert address.startswith("127.0.0.1:")
    answer = httpx.post(
        f"http://{address}/orders", json={"userId": "user-1", "items": ITEMS}, timeout=10
    )
    assert (answer.status_code, answer.json()["status"]) == (201, "completed")
    assert httpx.put(f"http://{address}/faults", json={}).status_code == 404, "no token, no faults"


@pytest.mark.parametrize("compose", ["phase2"], indirect=True)
def test_compose_alone_scales_behind_nginx(compose: Compose) -> None:
    compose("up", "--detach", "--wait", "--scale", "api-gateway=3")
    door = f"http://{compose('port', 'nginx', '80')}"
    with httpx.Client(timeout=10) as client:
        ordered = client.post(f"{door}/api/orders", json={"userId": "user-1", "items": ITEMS})
        assert (ordered.status_code, ordered.json()["status"]) == (201, "completed")

        def everybody() -> bool:
            asked = [client.get(f"{door}/api/count").json()["instance"] for _ in range(6)]
            return len(set(asked)) == 3

        # nginx requests the replicas' addresses from Docker's name server once a second.
        assert wait_until(everybody, timeout=10)


ASKS_BROKER = """
import os, socket
host, port = os.environ["KAFKA_BOOTSTRAP"].split(":")
broker = socket.create_connection((host, int(port)), 5)
broker.sendall(bytes([0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 255, 255, 0, 0, 0, 0]))
print(broker.recv(1000))
"""


@pytest.mark.kafka
@pytest.mark.parametrize("compose", ["phase4"], indirect=True)
def test_compose_alone_has_a_broker_and_every_front(compose: Compose) -> None:
    compose("up", "--detach", "--wait")
    words = ("exec", "-T", "order-service", "python", "-c", ASKS_BROKER)
    # It accepts connections a little earlier than it names itself.
    assert wait_until(lambda: "kafka" in compose(*words), timeout=20)
    for service, port in (("analytics-service", "3005"), ("notification-service", "3006")):
        answer = httpx.get(f"http://{compose('port', 'nginx', port)}/health", timeout=10)
        assert (answer.status_code, answer.json()["service"]) == (200, service)
