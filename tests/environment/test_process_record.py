"""A record of child processes finds what they started, and never a stranger that has a number of theirs."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from environment.identity import Identity
from environment.runtimes.process_record import RECORD, ProcessRecord
from environment.runtimes.process_removal import end_child

SLEEP = "import time; time.sleep(60)"
PARENT = (
    "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', sys.argv[1]], "
    "cwd=sys.argv[2], stdout=subprocess.DEVNULL); "
    "print(child.pid, flush=True); time.sleep(60)"
)


class Family:
    """A process that leads a process session, and one that it has started in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.leader = subprocess.Popen(
            [sys.executable, "-c", PARENT, SLEEP, str(folder)],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.leader.stdout
        self.child = psutil.Process(int(self.leader.stdout.readline()))

    def end(self) -> None:
        self.leader.kill()
        self.leader.communicate()
        self.child.kill()


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    (tmp_path / "data").mkdir()
    one = Family(tmp_path / "data")
    yield one
    one.end()


def pids(record: ProcessRecord) -> set[int]:
    return {process.pid for process in record.living()}


def test_a_record_is_read_again_from_its_folder(tmp_path: Path, family: Family) -> None:
    ProcessRecord(tmp_path).add(family.leader.pid)
    assert pids(ProcessRecord(tmp_path)) == {family.leader.pid, family.child.pid}


def test_a_dead_leader_leaves_its_child_in_the_record(tmp_path: Path, family: Family) -> None:
    ProcessRecord(tmp_path).add(family.leader.pid)
    family.leader.kill()
    family.leader.wait()
    record = ProcessRecord(tmp_path)
    assert pids(record) == {family.child.pid}
    assert record.kill()
    assert pids(record) == set()
    assert not record.kill()


def test_a_stranger_with_a_recorded_number_is_spared(tmp_path: Path, family: Family) -> None:
    leader = Identity.of(family.leader.pid)
    earlier = Identity(leader.boot, leader.namespace, leader.pid, str(float(leader.started) - 5))
    (tmp_path / RECORD).write_text(f"{earlier}\n")
    assert pids(ProcessRecord(tmp_path)) == set()


@pytest.mark.parametrize("what", ["boot", "namespace"])
def test_a_number_of_another_boot_or_container_is_spared(
    tmp_path: Path, family: Family, what: str
) -> None:
    leader = Identity.of(family.leader.pid)
    boot = "another" if what == "boot" else leader.boot
    namespace = "1" if what == "namespace" else leader.namespace
    (tmp_path / RECORD).write_text(f"{Identity(boot, namespace, leader.pid, leader.started)}\n")
    assert pids(ProcessRecord(tmp_path)) == set()


def test_what_works_elsewhere_is_spared(tmp_path: Path, family: Family) -> None:
    folder = tmp_path / "session"
    folder.mkdir()
    ProcessRecord(folder).add(family.leader.pid)
    assert pids(ProcessRecord(folder)) == {family.leader.pid}


def test_a_broken_line_hides_no_other(tmp_path: Path, family: Family) -> None:
    ProcessRecord(tmp_path).add(family.leader.pid)
    with (tmp_path / RECORD).open("a") as file:
        file.write("b00t/1")
    assert family.leader.pid in pids(ProcessRecord(tmp_path))


LEAVES = "import os, sys, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(60)"
STARTS_IT = (
    "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', sys.argv[1]]); "
    "time.sleep(60)"
)


def test_a_child_ends_with_what_left_its_process_session(tmp_path: Path) -> None:
    """As PostgreSQL's processes do, which each lead a process session of their own."""
    leader = subprocess.Popen(
        [sys.executable, "-c", STARTS_IT, LEAVES], stdout=subprocess.PIPE, start_new_session=True
    )
    assert leader.stdout
    left = psutil.Process(int(leader.stdout.readline()))
    record = ProcessRecord(tmp_path)
    record.add(leader.pid)
    end_child(leader, record)
    leader.stdout.close()
    assert leader.poll() is not None
    assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE
