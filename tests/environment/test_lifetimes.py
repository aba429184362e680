"""Nothing we start outlives us: kernels, commands and supervisors are killed for real, and what is left is counted."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from environment import Environment
from environment.client.connection import Client
from environment.folders import live_sessions
from environment.identity import Identity
from environment.supervisor.sweep import sweep
from tests.residue import descendants, nothing_left, residue

pytestmark = pytest.mark.timeout(180)

PRELUDE = (
    "import sys, time; from environment import Environment; "
    "env = Environment('phase0', runtime=sys.argv[1], only=['user-service'])"
)
"""One service: a start costs a second of CPU time for each, and what ends one ends them all by the same label."""

STARTED = PRELUDE + "; env.start(); print(env.session, flush=True); time.sleep(60)"
WHOLE_PHASE = STARTED.replace(", only=['user-service']", "")
SCALING = (
    PRELUDE
    + "; env.start(); print(env.session, flush=True); env.scale('user-service', 6); time.sleep(60)"
)


STARTED_PHASE = STARTED.replace("'phase0'", "'PHASE'").replace(", only=['user-service']", "")

LAB = [sys.executable, "-m", "labs.cli"]
SWEEP = "environment.supervisor.sweep"


class Orphans(NamedTuple):
    """What a supervisor had started when it was killed."""

    session: str
    processes: list[psutil.Process]

    def names(self) -> set[str]:
        return {one.name() for one in self.processes}

    def alive(self, seconds: float = 0) -> list[psutil.Process]:
        _, alive = psutil.wait_procs(self.processes, timeout=seconds)
        return [one for one in alive if one.status() != "zombie"]


@pytest.fixture
def owners() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def owner_of(owners: list[subprocess.Popen[str]], code: str, runtime: str) -> subprocess.Popen[str]:
    """A process that starts an environment, as a notebook's kernel does."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, runtime],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    owners.append(process)
    return process


def session_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def new_session(known: set[str]) -> str:
    """The session that appears beside the known ones, as early as it can be seen."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if fresh := {path.name for path in Path(os.environ["LAB_STATE"]).iterdir()} - known:
            return fresh.pop()
    raise AssertionError("no session appeared within 20 s")


def session_for(kernel: subprocess.Popen[str]) -> str:
    """The session that a kernel owns, as early as that can be read."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for path in Path(os.environ["LAB_STATE"]).glob("*/owner"):
            with suppress(OSError, ValueError):
                if Identity.parse(path.read_text()).pid == kernel.pid:
                    return path.parent.name
    raise AssertionError("the kernel began no session within 20 s")


def supervisor_of(session: str) -> psutil.Process:
    try:
        identity = Identity.parse(
            (Path(os.environ["LAB_STATE"]) / session / "supervisor").read_text()
        )
        return psutil.Process(identity.pid)
    except (OSError, ValueError, psutil.Error) as error:
        raise AssertionError(f"session {session} has no supervisor") from error


def kill_watchdog(supervisor: psutil.Process) -> None:
    """Kills what would sweep at once, so that what is left stays for the next start."""
    (watchdog,) = [one for one in supervisor.children() if SWEEP in one.cmdline()]
    watchdog.kill()


def test_a_killed_kernel_leaves_nothing(owners: list[subprocess.Popen[str]], runtime: str) -> None:
    kernel = owner_of(owners, WHOLE_PHASE, runtime)
    session = session_of(kernel)
    assert residue(session), "the system runs before the kill"
    kernel.kill()
    assert nothing_left(session) == []


@pytest.mark.parametrize("moment", [0.0, 0.15, 0.4, 0.8])
def test_a_kernel_killed_while_starting_leaves_nothing(
    owners: list[subprocess.Popen[str]], runtime: str, moment: float
) -> None:
    known = set(live_sessions())
    kernel = owner_of(owners, WHOLE_PHASE, runtime)
    session = new_session(known)
    time.sleep(moment)  # the point of this test: another stage of the start each time
    kernel.kill()
    assert nothing_left(session) == []


def test_a_kernel_killed_while_scaling_leaves_nothing(
    owners: list[subprocess.Popen[str]], runtime: str
) -> None:
    kernel = owner_of(owners, SCALING, runtime)
    session = session_of(kernel)
    time.sleep(0.3)
    kernel.kill()
    assert nothing_left(session) == []


def test_a_kernel_with_a_forked_child_counts_as_gone(
    owners: list[subprocess.Popen[str]],
) -> None:
    # The child inherits the pipe, so its end never closes: only the poll of the owner detects it.
    code = STARTED.replace(
        "time.sleep(60)", "import os; os.fork() or time.sleep(40); time.sleep(60)"
    )
    kernel = owner_of(owners, code, "process")
    session = session_of(kernel)
    kernel.kill()
    left = nothing_left(session)
    os.killpg(kernel.pid, signal.SIGKILL)
    assert left == []


def test_the_next_start_cleans_up_after_a_killed_supervisor(
    owners: list[subprocess.Popen[str]], runtime: str
) -> None:
    kernel = owner_of(owners, STARTED, runtime)
    session = session_of(kernel)
    supervisor = supervisor_of(session)
    kill_watchdog(supervisor)
    supervisor.kill()
    kernel.kill()
    kernel.wait()
    assert residue(session), "the supervisor's death alone cleans nothing"
    with Environment("phase0", runtime=runtime, only=["user-service"]):
        assert residue(session) == []


def test_the_next_start_cleans_up_after_a_supervisor_killed_scaling(
    owners: list[subprocess.Popen[str]], runtime: str
) -> None:
    kernel = owner_of(owners, SCALING, runtime)
    session = session_of(kernel)
    time.sleep(0.3)
    supervisor = supervisor_of(session)
    kill_watchdog(supervisor)
    supervisor.kill()
    with Environment("phase0", runtime=runtime, only=["user-service"]):
        assert nothing_left(session, seconds=3) == []


@pytest.fixture
def orphans(owners: list[subprocess.Popen[str]]) -> Iterator[Callable[..., Orphans]]:
    """Starts a phase and kills its supervisor with SIGKILL, and its owner; what then lives on is returned."""
    left: list[psutil.Process] = []

    def make(phase: str, runtime: str, *, watched: bool) -> Orphans:
        kernel = owner_of(owners, STARTED_PHASE.replace("PHASE", phase), runtime)
        session = session_of(kernel)
        supervisor = supervisor_of(session)
        left.extend(descendants(supervisor.pid))
        if not watched:
            kill_watchdog(supervisor)
        supervisor.kill()
        kernel.kill()
        return Orphans(session, left)

    yield make
    for process in left:
        with suppress(psutil.Error):
            process.kill()


@pytest.mark.parametrize("phase", ["phase2", pytest.param("phase4", marks=pytest.mark.slow)])
def test_a_killed_supervisor_leaves_nothing(
    orphans: Callable[..., Orphans], phase: str, runtime: str
) -> None:
    orphaned = orphans(phase, runtime, watched=True)
    assert nothing_left(orphaned.session) == []
    assert orphaned.alive(seconds=5) == [], "the watchdog ends after its sweep"


@pytest.mark.parametrize("phase", ["phase2", pytest.param("phase4", marks=pytest.mark.slow)])
def test_down_all_ends_what_a_killed_supervisor_started(
    orphans: Callable[..., Orphans], phase: str, runtime: str
) -> None:
    orphaned = orphans(phase, runtime, watched=False)
    assert runtime == "docker" or {"nginx", "valkey-server"} <= orphaned.names()
    down = subprocess.run([*LAB, "down", "--all"], capture_output=True, text=True, timeout=120)
    assert f"removed what session {orphaned.session} left behind" in down.stdout
    assert nothing_left(orphaned.session, seconds=0) == []
    assert orphaned.alive() == []


def test_workers_of_a_dead_nginx_end_with_its_restart() -> None:
    with Environment("phase2", runtime="process", only=["nginx", "user-service"]) as env:
        master = psutil.Process(env["nginx"].replicas[0].pid)
        workers = master.children()
        assert workers
        master.kill()
        env.restart("nginx")
        assert Orphans(str(env.session), workers).alive() == []
        assert env["user-service"].replicas[0].ready


def test_an_environment_whose_supervisor_died_starts_again(runtime: str) -> None:
    env = Environment("phase0", runtime=runtime, only=["user-service"])
    env.start()
    first = str(env.session)
    supervisor = supervisor_of(first)
    supervisor.kill()
    supervisor.wait(5)
    assert "not started" in repr(env)
    env.start()
    assert env["user-service"].replicas[0].ready
    assert residue(first) == []
    env.stop()


def test_an_interrupt_of_the_kernel_harms_nothing(
    owners: list[subprocess.Popen[str]], runtime: str
) -> None:
    code = PRELUDE + (
        "\nenv.start(); print(env.session, flush=True)"
        "\ntry: time.sleep(60)"
        "\nexcept KeyboardInterrupt: print(env['user-service'].replicas[0].ready, flush=True); time.sleep(60)"
    )
    kernel = owner_of(owners, code, runtime)
    session = session_of(kernel)
    before = Client(session).verbs().state()["services"]
    os.killpg(kernel.pid, signal.SIGINT)  # as Jupyter does: to the whole group
    assert kernel.stdout
    assert kernel.stdout.readline().strip() == "True"
    after = Client(session).verbs().state()["services"]
    pids = [[r["pid"] for r in s["replicas"]] for s in before.values()]
    assert pids == [[r["pid"] for r in s["replicas"]] for s in after.values()]
    kernel.kill()
    assert nothing_left(session) == []


def test_an_interrupt_while_starting_lets_the_start_go_on(runtime: str) -> None:
    code = PRELUDE + (
        "\ntry: env.start()"
        "\nexcept KeyboardInterrupt: pass"
        "\nprint(env.start()['user-service'].replicas[0].ready, env.session, flush=True)"
        "\nenv.stop()"
    )
    known = set(live_sessions())
    kernel = subprocess.Popen(
        [sys.executable, "-c", code, runtime],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    session = new_session(known)
    time.sleep(0.4)
    os.killpg(kernel.pid, signal.SIGINT)
    said, _ = kernel.communicate(timeout=60)
    assert said.split() == ["True", session]
    assert nothing_left(session, seconds=0) == []


def test_a_detached_session_outlives_its_command_and_ends_with_down(runtime: str) -> None:
    known = set(live_sessions())
    up = subprocess.run(
        [*LAB, "up", "phase0", "--runtime", runtime], capture_output=True, text=True
    )
    assert up.returncode == 0, up.stderr
    (session,) = set(live_sessions()) - known
    time.sleep(2.5)  # longer than the owner is polled
    assert session in live_sessions()
    down = subprocess.run([*LAB, "down", "--session", session], capture_output=True, text=True)
    assert (down.returncode, down.stdout.strip()) == (0, f"session {session} is removed")
    assert nothing_left(session, seconds=0) == []


def test_a_session_whose_folder_is_deleted_ends(runtime: str) -> None:
    command = [sys.executable, "-m", "labs.cli", "up", "phase0", "--runtime", runtime, "--json"]
    session = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["session"]
    shutil.rmtree(Path(os.environ["LAB_STATE"]) / session)
    assert nothing_left(session) == []


@pytest.mark.parametrize("name", ["photos", "abcd"])
def test_a_strangers_folder_beside_the_sessions_is_never_removed(name: str) -> None:
    folder = Path(os.environ["LAB_STATE"]) / name
    folder.mkdir()
    (folder / "holiday.jpg").write_text("")
    os.utime(folder, (0, 0))  # long ago
    sweep()
    assert (folder / "holiday.jpg").exists()
    shutil.rmtree(folder)


def test_a_second_start_leaves_a_paused_replica_as_it_is(runtime: str) -> None:
    with Environment("phase0", runtime=runtime, only=["user-service"]) as env:
        before = env["user-service"].replicas[0]
        with env["user-service"].paused():
            env.start()
        after = env["user-service"].replicas[0]
        assert (after.pid, after.container) == (before.pid, before.container)
        assert after.ready_seconds == before.ready_seconds


def test_two_threads_start_one_session(runtime: str) -> None:
    known = set(live_sessions())
    env = Environment("phase0", runtime=runtime, only=["user-service"])
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: env.start(), range(4)))
    assert set(live_sessions()) - known == {env.session}
    env.stop()


def test_stop_inside_a_fault_is_a_clean_end(runtime: str) -> None:
    env = Environment("phase0", runtime=runtime, only=["user-service"]).start()
    session = str(env.session)
    with env["user-service"].paused():
        env.stop()
    assert nothing_left(session, seconds=0) == []


def test_a_sweep_spares_the_living_and_the_unlabelled(runtime: str) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with Environment("phase0", runtime=runtime, only=["user-service"]) as env:
        assert sweep() == []
        assert env["user-service"].replicas[0].ready
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_kills_at_seeded_moments_leave_nothing(
    owners: list[subprocess.Popen[str]], runtime: str
) -> None:
    import random

    moments = random.Random(7)

    def kill_one(wait: float, both: bool) -> str:
        kernel = owner_of(owners, SCALING, runtime)
        session = session_for(kernel)
        time.sleep(wait)
        if both:
            supervisor_of(session).kill()
        kernel.kill()
        kernel.wait()
        return session

    kills = [(moments.uniform(0, 2.5), moments.random() < 0.4) for _ in range(10)]
    with ThreadPoolExecutor(3) as pool:  # most of their time is waiting
        sessions = list(pool.map(lambda kill: kill_one(*kill), kills))
    deadline = time.monotonic() + 15
    while any(map(residue, set(sessions) & set(live_sessions()))) and time.monotonic() < deadline:
        time.sleep(0.2)
    sweep()
    assert [residue(session) for session in sessions if residue(session)] == []
