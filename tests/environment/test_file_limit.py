"""A low soft limit of the shell reaches no replica, and a low hard limit is reported."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from environment import file_limit
from environment.client import doctor
from environment.file_limit import raise_file_limit
from environment.waiting import wait_until

LAB = [sys.executable, "-m", "labs.cli"]


LIMITS = 'ulimit -Sn "$SOFT" && ulimit -Hn "$HARD"'


def files_of(pid: int) -> tuple[int, int]:
    """The limits of a process: soft and hard."""
    return resource.prlimit(pid, resource.RLIMIT_NOFILE)


def test_a_replica_may_open_what_the_hard_limit_allows() -> None:
    command = ["sh", "-c", f'{LIMITS} && exec "$@"', "sh", *LAB, "up", "phase0", "--json"]
    limits = {"SOFT": "256", "HARD": "8192"}
    up = subprocess.run(
        [*command, "--runtime", "process"],
        env={**os.environ, **limits},
        capture_output=True,
        check=True,
        timeout=60,
    )
    state = json.loads(up.stdout)
    try:
        pids = [one["pid"] for s in state["services"].values() for one in s["replicas"]]
        found = {files_of(pid) for pid in pids}
    finally:
        subprocess.run([*LAB, "down", "--session", state["session"]], check=True, timeout=60)
    assert found == {(8192, 8192)}


def test_the_limit_is_raised_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    limits, asked = (256, resource.RLIM_INFINITY), []

    def refuse_as_macos(_: int, wanted: tuple[int, int]) -> None:
        asked.append(wanted[0])
        if wanted[0] > 10_240:
            raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", refuse_as_macos)
    assert raise_file_limit() == 10_240
    assert asked == [file_limit.WANTED, 10_240]
    limits = (65_536, 65_536)
    assert raise_file_limit() == 65_536, "it is never lowered"


@pytest.mark.parametrize(("hard", "state"), [(1024, "missing"), (4096, "ok")])
def test_doctor_reports_a_low_hard_limit(
    monkeypatch: pytest.MonkeyPatch, hard: int, state: str
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, hard))
    finding = doctor._open_files()
    assert finding.state == state
    assert str(hard) in finding.result


def test_a_service_alone_raises_its_own_limit(tmp_path: Path) -> None:
    command = ["sh", "-c", f'{LIMITS} && exec "$@"', "sh"]
    command += [sys.executable, "-m", "microservices.user_service"]
    settings = {"PORT": "9", "DATA_DIR": str(tmp_path), "SOFT": "256", "HARD": "4096"}
    with subprocess.Popen(command, env={**os.environ, **settings}) as service:
        raised = wait_until(lambda: files_of(service.pid) == (4096, 4096), timeout=10, every=0.001)
        service.kill()
    assert raised
