"""What a record contains about the machine."""

import os
import time
from pathlib import Path

import pytest

from labs import machine


@pytest.mark.parametrize(("usable", "cores"), [(0.5, 1), (1, 1), (1.5, 2), (8, 8)])
def test_a_part_of_a_core_counts_as_one(
    usable: float, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 1 <= machine.cores() <= (os.cpu_count() or 1)
    monkeypatch.setattr(machine, "usable_cores", lambda: usable)
    assert machine.cores() == cores


def test_busy_seconds_grow_by_what_is_computed_here() -> None:
    before, began = machine.busy_seconds(), time.process_time()
    while time.process_time() - began < 0.3:
        pass
    assert machine.busy_seconds() - before > 0.2


def test_demand_counts_the_waiting_where_the_system_does(tmp_path: Path) -> None:
    listed = tmp_path / "cpu"
    assert machine.demanded_seconds(listed) == pytest.approx(machine.busy_seconds(), abs=0.2)
    listed.write_text(
        "some avg10=0.00 avg60=0.05 avg300=5.68 total=25000000\nfull avg10=0.00 total=0\n"
    )
    assert machine.demanded_seconds(listed) == pytest.approx(machine.busy_seconds() + 25, abs=0.2)
    listed.write_text("")
    assert machine.demanded_seconds(listed) == pytest.approx(machine.busy_seconds(), abs=0.2)


def test_all_cores_do_at_least_the_work_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labs.machine.cores", lambda: 1)
    assert 0.2 < machine.speedup() < 5
    monkeypatch.setattr("labs.machine._work", lambda processes: 1000 * min(processes, 2.5))
    monkeypatch.setattr("labs.machine.cores", lambda: 4)
    assert machine.speedup() == 2.5
