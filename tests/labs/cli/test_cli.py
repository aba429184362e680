"""`lab`, as a user types it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from environment.folders import live_sessions
from tests.labs.cli.command import Lab, run_lab
from tests.residue import nothing_left

pytestmark = pytest.mark.timeout(120)


def process(*words: str) -> subprocess.CompletedProcess[str]:
    """Run `lab` as a process of its own; most tests run it in theirs, which has imported it."""
    command = [sys.executable, "-m", "labs.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=90)


@pytest.fixture
def lab(capsys: pytest.CaptureFixture[str]) -> Lab:
    return lambda *words: run_lab(capsys, *words)


@pytest.fixture(scope="module")
def up() -> Iterator[dict[str, Any]]:
    words = ["--runtime", "process", "--seed", "11", "--set", "payment-service.PAYMENT_SECONDS=0.1"]
    replicas = ["--scale", "user-service=2", "--version", "user-service=2"]
    started = process("up", "phase0", *words, *replicas, "--json")
    assert started.returncode == 0, started.stderr
    state: dict[str, Any] = json.loads(started.stdout)
    yield state
    assert process("down", "--session", state["session"]).returncode == 0
    assert nothing_left(state["session"], seconds=0) == []


def test_up_prints_one_object_with_every_fixed_name(up: dict[str, Any]) -> None:
    assert set(up) >= {
        "session",
        "runtime",
        "phase",
        "seed",
        "token",
        "url",
        "services",
        "kafka",
        "data",
    }
    assert (up["runtime"], up["phase"], up["seed"], up["url"], up["kafka"]) == (
        "process", "phase0", 11, None, None,
    )  # fmt: skip
    users = up["services"]["user-service"]
    assert set(users) == {"version", "url", "replicas"}
    assert (users["version"], len(users["replicas"])) == ("2", 2)
    assert (
        users["replicas"][0].items()
        >= {"id": "user-service-1", "container": None, "ready": True}.items()
    )
    assert Path(up["data"]).is_dir()


def test_ps_prints_the_same_object(up: dict[str, Any], lab: Lab) -> None:
    state = json.loads(lab("ps", "--json").out)
    assert state["services"].keys() == up["services"].keys()
    assert (state["session"], state["token"]) == (up["session"], up["token"])


def test_only_the_token_opens_the_faults(up: dict[str, Any]) -> None:
    url = up["services"]["order-service"]["url"]
    headers = {"Authorization": f"Bearer {up['token']}"}
    assert httpx.put(f"{url}/faults", json={"seconds": 0}, headers=headers).status_code < 300
    assert httpx.put(f"{url}/faults", json={"seconds": 0}).status_code == 401


def test_kill_and_restart_keep_address_and_data(up: dict[str, Any], lab: Lab) -> None:
    url = up["services"]["order-service"]["url"]
    order = {"userId": "user-1", "items": [{"productId": "prod-1", "quantity": 1, "price": 5}]}
    made = httpx.post(f"{url}/orders", json=order).json()
    assert lab("kill", "order-service").code == 0
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{url}/health", timeout=1)
    assert lab("restart", "order-service").code == 0
    assert httpx.get(f"{url}/orders/{made['id']}").json()["total"] == 5


def test_pause_and_resume_one_replica(up: dict[str, Any], lab: Lab) -> None:
    one, two = (replica["url"] for replica in up["services"]["user-service"]["replicas"])
    assert lab("pause", "user-service", "--replica", "2").code == 0
    with pytest.raises(httpx.TimeoutException):
        httpx.get(f"{two}/users", timeout=0.5)
    assert httpx.get(f"{one}/users").status_code == 200
    assert lab("resume", "user-service", "--replica", "2").code == 0
    assert httpx.get(f"{two}/users").status_code == 200


def test_set_scale_and_roll_show_their_progress(up: dict[str, Any], lab: Lab) -> None:
    assert "payment-service-1 ready" in lab("set", "payment-service", "PAYMENT_SECONDS=0.05").err
    assert "stopping user-service-2" in lab("scale", "user-service", "1").err
    assert "user-service-1 ready" in lab("roll", "user-service", "1").err
    assert "user-service     1        1         1" in lab("ps").out


def test_logs_show_the_last_lines(up: dict[str, Any], lab: Lab) -> None:
    assert len(lab("logs", "payment-service", "--lines", "2").out.splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["up", "phase99"], "phase0"),
        (["up", "phase0", "--ports", "some"], "free or fixed"),
        (["up", "phase0", "--scale", "user-service"], "SVC=N"),
        (["up", "phase0", "--scale", "user-service=many"], "number of replicas"),
        (["up", "phase0", "--set", "PAYMENT_SECONDS=1"], "SVC.NAME=VALUE"),
        (["up", "phase0", "--runtime", "podman"], "runtime"),
        (["ps", "--session", "zzzz"], "no live session 'zzzz'"),
        (["kill", "payments"], "Did you mean payment-service"),
        (["kill", "user-service", "--replica", "7"], "user-service-1"),
        (["scale", "user-service", "99"], "1 to 8"),
        (["set", "payment-service", "PAYMENT_SECONDS"], "NAME=VALUE"),
        (["roll", "user-service", ""], "which version"),
        (["roll", "user-service", "2", "--replica", "7"], "user-service-1"),
    ],
)
def test_a_wrong_argument_is_explained_with_exit_code_2(
    up: dict[str, Any], lab: Lab, words: list[str], message: str
) -> None:
    printed = lab(*words)
    assert printed.code == 2
    assert message in " ".join(printed.err.split())
    assert "Traceback" not in printed.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "phase99"], "phase0"),
        (["run", "--runtime", "podman"], "docker, process"),
        (["run", "-p", "RUNTIME=podman"], "docker, process"),
        (["run", "--profile", "slow"], "quick, full"),
        (["run", "--out", "/proc/here"], "--out"),
        (["run", "--out", "/etc/passwd"], "--out"),
        (["open", "phase99"], "phase0"),
    ],
)
def test_a_wrong_argument_about_a_lab_is_explained_too(
    lab: Lab, words: list[str], message: str
) -> None:
    printed = lab(*words)
    assert printed.code == 2
    assert message in " ".join(printed.err.split())


@pytest.fixture(scope="class")
def gateway(up: dict[str, Any]) -> Iterator[dict[str, Any]]:
    started = process("up", "phase1", "--runtime", "process", "--json")
    state: dict[str, Any] = json.loads(started.stdout)
    yield state
    assert process("down", "--session", state["session"]).returncode == 0
    assert nothing_left(state["session"], seconds=0) == []


class TestWithASecondSession:
    """A phase with a gateway, beside the session of the other tests."""

    def test_a_verb_asks_for_the_session(
        self, up: dict[str, Any], gateway: dict[str, Any], lab: Lab
    ) -> None:
        printed = lab("ps")
        assert printed.code == 2
        assert up["session"] in printed.err
        assert gateway["session"] in printed.err
        assert lab("ps", "--session", gateway["session"]).code == 0

    def test_the_address_of_the_system_is_its_gateway(self, gateway: dict[str, Any]) -> None:
        assert gateway["url"] == gateway["services"]["api-gateway"]["url"]
        body = httpx.get(f"{gateway['url']}/api/dashboard", trust_env=False).json()
        assert (len(body["users"]), body["orders"], body["partial"]) == (3, [], False)


def test_doctor_looks_at_the_machine() -> None:
    findings = {
        finding["what"]: finding for finding in json.loads(process("doctor", "--json").stdout)
    }
    assert findings["Python"]["state"] == "ok"
    assert {"cores", "memory", "disk", "Docker engine", "images"} <= findings.keys()


def test_a_doctor_without_an_engine_names_the_other_runtime(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///tmp/there-is-no-engine.sock")
    began = time.monotonic()
    printed = lab("doctor")
    assert time.monotonic() - began < 10
    assert printed.code == 0
    assert "missing Docker engine" in printed.out
    assert "process" in printed.out


def test_an_interrupted_up_leaves_nothing() -> None:
    command = [sys.executable, "-m", "labs.cli", "up", "phase0", "--runtime", "process"]
    known = set(live_sessions())
    starting = subprocess.Popen(
        command,
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
        # Tests that a shell runs in the background ignore interrupts, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert starting.stderr
    assert any("starting 3 replica(s)" in line for line in starting.stderr)
    (session,) = set(live_sessions()) - known
    os.killpg(starting.pid, signal.SIGINT)
    _, errors = starting.communicate(timeout=30)
    assert starting.returncode != 0, errors
    assert nothing_left(session) == []
