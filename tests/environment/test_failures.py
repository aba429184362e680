"""What goes wrong while starting: cause and next step within ten seconds, nothing left, and it can be mended."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from environment import Environment, LabError
from environment.compose import COMPOSE_FILE
from environment.errors import NotReady, RuntimeUnavailable, UnknownName
from environment.folders import live_sessions

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def _nothing_left() -> Any:
    yield
    assert live_sessions() == []
    assert list(Path(os.environ["LAB_STATE"]).iterdir()) == []


def described(path: Path, service: str, **changes: Any) -> Path:
    content = yaml.safe_load(COMPOSE_FILE.read_text())
    content["services"][service].update(changes)
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_service_that_dies_while_starting_shows_its_log(tmp_path: Path, runtime: str) -> None:
    words = ["python", "-c", "import sys; sys.exit('the cupboard is bare')"]
    path = described(tmp_path / "docker-compose.yml", "order-service", command=words)
    env = Environment("phase0", runtime=runtime, only=["order-service"], description=path)  # type: ignore[arg-type]
    began = time.monotonic()
    with pytest.raises(NotReady, match=r"order-service-1.*exit code 1") as raised:
        env.start()
    assert time.monotonic() - began < 10
    assert "the cupboard is bare" in str(raised.value)
    assert "Next:" in str(raised.value)
    assert env.session is None
    path.write_text(COMPOSE_FILE.read_text())  # the mending
    env.start()
    assert env["order-service"].replicas[0].ready
    env.stop()


def test_a_busy_fixed_port_names_its_holder(runtime: str) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 3002))
        other.listen()
        lab = [sys.executable, "-m", "labs.cli", "up", "phase0", "--runtime", runtime]
        said = subprocess.run(
            [*lab, "--ports", "fixed"], capture_output=True, text=True, timeout=60
        )
    assert said.returncode == 2
    assert "3002" in said.stderr
    assert f"pid {os.getpid()}" in said.stderr


def test_fixed_ports_are_the_described_ones(runtime: str) -> None:
    lab = [sys.executable, "-m", "labs.cli"]
    command = [*lab, "up", "phase0", "--runtime", runtime, "--ports", "fixed"]
    up = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert up.returncode == 0, up.stderr
    env = Environment.attach()
    urls = [env[name].url for name in env.services]
    subprocess.run([*lab, "down"], capture_output=True, timeout=60, check=True)
    assert urls == [f"http://127.0.0.1:{port}" for port in (3001, 3002, 3003)]


def test_an_absent_engine_is_explained_and_processes_take_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///tmp/there-is-no-engine.sock")
    env = Environment("phase0", runtime="docker", only=["user-service"])
    began = time.monotonic()
    with pytest.raises(RuntimeUnavailable, match=r"there-is-no-engine"):
        env.start()
    assert time.monotonic() - began < 10
    with Environment("phase0", only=["user-service"]) as automatic:
        assert automatic.runtime == "process"
        assert "there-is-no-engine" in automatic.state()["reason"]


def test_a_silent_engine_is_given_up_within_ten_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/tmp/lab-hanging-{os.getpid()}.sock"
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(path)
        hanging.listen(16)
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        began = time.monotonic()
        with pytest.raises(RuntimeUnavailable):
            Environment("phase0", runtime="docker", only=["user-service"]).start()
        assert time.monotonic() - began < 10
    Path(path).unlink()


def up(state: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "labs.cli", "up", "phase0", "--runtime", "process"]
    environment = {**os.environ, "LAB_STATE": state}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60
    )


def test_a_read_only_state_folder_is_explained_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("")
    said = up(str(tmp_path / "a-file" / "state"), tmp_path)
    assert said.returncode == 2
    assert "LAB_STATE" in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a full disk needs root")
def test_a_full_disk_is_explained_in_a_line(tmp_path: Path) -> None:
    state = Path("/tmp") / f"lab-full-{os.getpid()}"
    state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", state], check=True)
    try:
        (state / "ballast").write_bytes(bytes(64 * 1024))
        said = up(str(state), tmp_path)
        left = [path.name for path in state.iterdir()]
    finally:
        subprocess.run(["umount", state], check=True)
        state.rmdir()
    assert said.returncode == 2
    assert "disk full" in said.stderr
    assert "Traceback" not in said.stderr
    assert left == ["ballast"]


def test_a_relative_state_folder_is_relative_to_where_one_is(tmp_path: Path) -> None:
    short = Path("/tmp") / f"lab-rel-{os.getpid()}"
    short.mkdir()
    said = up("state", short)
    assert said.returncode == 0, said.stderr
    command = [sys.executable, "-m", "labs.cli", "down"]
    environment = {**os.environ, "LAB_STATE": "state"}
    subprocess.run(command, cwd=short, env=environment, check=True, capture_output=True, timeout=60)
    (short / "state").rmdir()  # it is empty
    short.rmdir()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"versions": {"user-service": ""}}, "versions"),
        ({"phase": "phase99"}, "phase0"),
        ({"runtime": "podman"}, "runtime"),
        ({"seed": "many"}, "seed"),
        ({"only": ["users"]}, "user-service"),
        ({"phase": "phase2", "only": ["nginx"]}, "nginx has no service.*user-service"),
        ({"phase": "phase2", "only": ["nginx", "valkey"]}, "nginx has no service.*user-service"),
        ({"versions": {"users": 2}}, "user-service"),
        ({"settings": {"payment-service": {"PAYMENT_SECOND": 1}}}, "PAYMENT_SECONDS"),
        ({"settings": {"payment-service": {"CONTROL_TOKEN": "x"}}}, "decided by the environment"),
        ({"replicas": {"user-service": 0}}, "replicas"),
        ({"replicas": {"users": 2}}, "user-service"),
    ],
)
def test_words_that_make_no_environment_are_explained(words: dict[str, Any], said: str) -> None:
    with pytest.raises(LabError, match=said):
        Environment(**{"phase": "phase0", "runtime": "process", **words}).start()


def test_a_session_that_does_not_exist_lists_those_that_do() -> None:
    with pytest.raises(UnknownName, match="lab up phase0"):
        Environment.attach("zzzz")


def test_verbs_before_the_start_say_so() -> None:
    with pytest.raises(LabError, match=r"env\.start\(\)"):
        Environment("phase0").scale("user-service", 2)


def test_a_port_taken_from_a_dead_replica_is_explained(runtime: str) -> None:
    with Environment("phase0", runtime=runtime, only=["user-service"]) as env:  # type: ignore[arg-type]
        port = int(env["user-service"].url.rpartition(":")[2])
        other = socket.socket()
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        fault = env["user-service"].killed()
        fault.__enter__()
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(LabError, match=str(port)):
            fault.__exit__(None, None, None)
        other.close()
        env.start()  # heals what is down
        assert env["user-service"].replicas[0].ready
