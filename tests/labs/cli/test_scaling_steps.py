"""What a reader tries by hand in phase 2, with `lab` and plain requests: each step has its documented effect."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from environment.waiting import wait_until
from tests.labs.cli.command import Lab, run_lab
from tests.labs.cli.test_cli import process
from tests.residue import nothing_left

pytestmark = pytest.mark.timeout(120)

COMPUTED_SECONDS = 3
HEAD_START = 1.0
"""Seconds between a computation and the request that is sent after it."""


@pytest.fixture(
    scope="module", params=["process", pytest.param("docker", marks=pytest.mark.docker)]
)
def door(request: pytest.FixtureRequest) -> Iterator[str]:
    """Phase 2 with three gateways, which have answered nothing yet; the address of its front door."""
    words = ["--scale", "api-gateway=3", "--set", "api-gateway.BREAKER_OPEN_SECONDS=1"]
    seconds = ["--set", "payment-service.PAYMENT_SECONDS=0"]
    started = process("up", "phase2", "--runtime", request.param, *words, *seconds, "--json")
    assert started.returncode == 0, started.stderr
    state = json.loads(started.stdout)
    yield str(state["url"])
    assert process("down", "--session", state["session"]).returncode == 0
    assert nothing_left(state["session"], seconds=0) == []


@pytest.fixture
def lab(capsys: pytest.CaptureFixture[str]) -> Lab:
    return lambda *words: run_lab(capsys, *words)


def get(url: str) -> httpx.Response:
    """Send a request on a connection of its own, as `curl` does."""
    return httpx.get(url, timeout=30, trust_env=False)


def scale(lab: Lab, replicas: int) -> None:
    assert lab("scale", "api-gateway", str(replicas)).code == 0


def users_while_computing(door: str) -> tuple[bool, float]:
    """Start a computation, then list the users; whether these came first, and after how long."""
    with ThreadPoolExecutor(1) as pool:
        computing = pool.submit(get, f"{door}/api/cpu-bound")
        time.sleep(HEAD_START)
        began = time.monotonic()
        assert get(f"{door}/api/users").status_code == 200
        waited, came_first = time.monotonic() - began, not computing.done()
        assert computing.result().json()["cpuSeconds"] >= COMPUTED_SECONDS
    return came_first, waited


def test_each_of_three_replicas_counts_for_itself(door: str) -> None:
    counts = [get(f"{door}/api/count").json()["count"] for _ in range(6)]
    assert counts == [1, 1, 1, 2, 2, 2]


def test_the_front_door_leads_to_every_service(door: str) -> None:
    assert get(f"{door}/api/users").json()
    assert get(f"{door}/api/orders").json() == []
    assert set(get(f"{door}/api/dashboard").json()) == {
        "users",
        "orders",
        "partial",
        "unavailable",
    }


@pytest.mark.slow
def test_a_computation_stops_one_replica_and_not_three(door: str, lab: Lab) -> None:
    assert users_while_computing(door)[0]
    scale(lab, 1)
    came_first, waited = users_while_computing(door)
    assert not came_first
    assert waited > COMPUTED_SECONDS - 2 * HEAD_START


def test_one_replica_counts_alone(door: str, lab: Lab) -> None:
    scale(lab, 1)
    counts = [get(f"{door}/api/count").json()["count"] for _ in range(3)]
    assert [count - counts[0] for count in counts] == [0, 1, 2]


def test_twenty_requests_go_to_three_processes_in_turn(door: str, lab: Lab) -> None:
    scale(lab, 3)
    asked = Counter(get(f"{door}/api/metrics").json()["processId"] for _ in range(20))
    replicas = Counter(get(f"{door}/api/count").json()["instance"] for _ in range(20))
    assert sorted(replicas.values()) == [6, 7, 7]
    if len(asked) > 1:  # in containers every replica has process 1
        assert sorted(asked.values()) == [6, 7, 7]


def test_the_breaker_opens_after_three_failures_and_recovers(door: str, lab: Lab) -> None:
    def pay() -> httpx.Response:
        return httpx.post(f"{door}/api/pay", json={"amount": 5}, timeout=10, trust_env=False)

    scale(lab, 1)
    assert pay().json()["status"] == "completed"
    assert lab("kill", "payment-service").code == 0
    failed = [pay() for _ in range(3)]
    assert all(each.status_code >= 500 for each in failed)
    refused = pay()
    assert (refused.status_code, "failed too often" in refused.text) == (503, True)
    assert int(refused.headers["retry-after"]) >= 1
    assert lab("restart", "payment-service").code == 0
    assert wait_until(lambda: pay().is_success, timeout=10, every=0.2)  # the probe closes it
