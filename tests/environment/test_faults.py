"""One fault at a time on a replica, whichever client causes it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from environment import Environment, LabError
from environment.supervisor.faults import KILLED, PAUSED, SLOWED, Faults
from environment.supervisor.plan import Replica
from environment.verbs import TERMINAL, Holder
from tests.residue import nothing_left

ONE, TWO = Replica("user-service", 1, "1"), Replica("user-service", 2, "1")
OUTER, INNER, OTHER = Holder(7, 1), Holder(7, 2), Holder(8, 1)


# -- the memory --------------------------------------------------------------------------------------------------------


@pytest.fixture
def faults() -> Faults:
    return Faults()


def test_a_second_fault_names_its_holder_and_its_cure(faults: Faults) -> None:
    faults.begin([ONE], SLOWED, OUTER)
    with pytest.raises(
        LabError,
        match=r"user-service-1 has a fault already: it was slowed by a fault block of process 7 "
        r".*Let that block end first.*`lab restart user-service --replica 1`",
    ):
        faults.begin([ONE, TWO], KILLED, TERMINAL)
    faults.begin([TWO], PAUSED, TERMINAL)
    with pytest.raises(LabError, match=r"paused by a `lab` command.*Heal it first.*`lab resume"):
        faults.begin([TWO], SLOWED, OUTER)


def test_a_refused_fault_is_not_remembered(faults: Faults) -> None:
    faults.begin([ONE], SLOWED, OUTER)
    with pytest.raises(LabError):
        faults.begin([TWO, ONE], KILLED, OTHER)
    assert faults.held_by(OTHER) == []
    assert faults.held_by(OUTER) == [ONE.id]


def test_a_healed_replica_may_have_another_fault(faults: Faults) -> None:
    faults.begin([ONE], SLOWED, OUTER)
    faults.forget(ONE)
    faults.begin([ONE], KILLED, TERMINAL)
    assert faults.held_by(OUTER) == []


def test_the_same_fault_once_more_is_no_second_one(faults: Faults) -> None:
    faults.begin([ONE], PAUSED, TERMINAL)
    faults.begin([ONE], PAUSED, TERMINAL)


def test_what_is_paused_may_be_killed_by_the_same_client(faults: Faults) -> None:
    faults.begin([ONE, TWO], PAUSED, OUTER)
    for replicas, holder in (([ONE, TWO], OTHER), ([ONE, TWO], TERMINAL), ([ONE], INNER)):
        with pytest.raises(LabError, match="paused"):
            faults.begin(replicas, KILLED, holder)
    faults.begin([ONE, TWO], KILLED, INNER)
    assert faults.held_by(OUTER) == []


# -- two clients of one session ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def env() -> Iterator[Environment]:
    environment = Environment("phase0", runtime="process", only=["user-service"]).start()
    session = str(environment.session)
    yield environment
    environment.stop()
    assert nothing_left(session, seconds=0) == []


def lab(env: Environment, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "labs.cli", *words, "--session", str(env.session)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def answers(env: Environment) -> bool:
    try:
        return httpx.get(f"{env['user-service'].url}/users", timeout=0.5).status_code == 200
    except httpx.TransportError:
        return False


def test_a_terminal_sees_the_fault_of_a_notebook(env: Environment) -> None:
    with env["user-service"].slowed(0.1):
        for verb in ("kill", "pause"):
            refused = lab(env, verb, "user-service")
            assert refused.returncode == 2
            assert "has a fault already" in " ".join(refused.stderr.split())
        assert answers(env)
    assert lab(env, "kill", "user-service").returncode == 0
    assert lab(env, "restart", "user-service").returncode == 0
    assert answers(env)


def test_a_notebook_sees_the_fault_of_a_terminal(env: Environment) -> None:
    assert lab(env, "kill", "user-service").returncode == 0
    for client in (env, Environment.attach(env.session)):
        with pytest.raises(LabError, match="killed by a `lab` command"):
            client["user-service"].paused().__enter__()
    assert not answers(env), "the end of the refused block healed nothing"
    assert lab(env, "resume", "user-service").returncode == 0
    with env["user-service"].paused():
        assert not answers(env)
    assert answers(env)


def test_the_end_of_a_block_heals_only_its_own_fault(env: Environment) -> None:
    with env["user-service"].slowed(0.1):
        assert lab(env, "restart", "user-service").returncode == 0
        assert lab(env, "kill", "user-service").returncode == 0
    assert not answers(env)
    env.start()
    assert answers(env)
    with env["user-service"].killed():
        pass


def test_a_fault_that_did_not_happen_is_not_remembered(env: Environment) -> None:
    pid = env["user-service"].replicas[0].pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    refused = lab(env, "pause", "user-service")
    assert "does not run" in refused.stderr
    assert lab(env, "kill", "user-service").returncode == 0
    assert lab(env, "restart", "user-service").returncode == 0
    assert answers(env)
