"""What a record contains about the machine."""

import os
import time
from pathlib import Path

import pytest

from labs import machine


def test_the_cores_are_those_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= machine.cores() <= (os.cpu_count() or 1)
    monkeypatch.setattr(machine, "_quota", lambda: 1)
    assert machine.cores() == 1


@pytest.mark.parametrize(
    ("limit", "cores"), [("150000 100000", 2), ("100000 100000", 1), ("max 100000", 1 << 16)]
)
def test_a_cgroups_quota_is_counted_in_whole_cores(
    limit: str, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "read_text", lambda self: limit)
    assert machine._quota() == cores


def test_busy_seconds_grow_by_what_is_computed_here() -> None:
    before, began = machine.busy_seconds(), time.process_time()
    while time.process_time() - began < 0.3:
        pass
    assert machine.busy_seconds() - before > 0.2


def test_all_cores_do_at_least_the_work_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labs.machine.cores", lambda: 1)
    assert 0.2 < machine.speedup() < 5
    monkeypatch.setattr("labs.machine._work", lambda processes: 1000 * min(processes, 2.5))
    monkeypatch.setattr("labs.machine.cores", lambda: 4)
    assert machine.speedup() == 2.5
