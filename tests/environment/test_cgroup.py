"""The limits of control groups, in both versions, from within a group and from within a container."""

import os
from pathlib import Path

import pytest

from environment import cgroup
from environment.client import doctor

V1 = (
    "30 20 0:29 {root} {top}/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
    "31 20 0:30 {root} {top}/memory rw - cgroup cgroup rw,memory"
)
V2 = "30 20 0:29 {root} {top} rw,nosuid - cgroup2 cgroup2 rw"


def machine(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    groups: str,
    mounts: str,
    files: dict[str, str],
    root: str = "/",
) -> None:
    """A machine with these control groups and these files in their file systems."""
    top = tmp_path / "cgroup"
    for name, content in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(content + "\n")
    for name, text in {"groups": groups, "mounts": mounts.format(root=root, top=top)}.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(cgroup, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr(cgroup, "MOUNTS", tmp_path / "mounts")


JOB1 = "4:cpu,cpuacct:/jobs/one\n3:memory:/jobs/one\n0::/"
JOB2 = "0::/jobs/one"


@pytest.mark.parametrize(
    ("groups", "mounts", "files", "limit"),
    [
        (JOB2, V2, {"jobs/one/cpu.max": "150000 100000"}, 1.5),
        (JOB2, V2, {"jobs/one/cpu.max": "max 100000", "jobs/cpu.max": "50000 100000"}, 0.5),
        (JOB2, V2, {"jobs/one/cpu.max": "50000 100000", "jobs/cpu.max": "400000 100000"}, 0.5),
        (JOB2, V2, {"jobs/one/cpu.max": "max 100000"}, None),
        (JOB2, V2, {}, None),
        ("0::/", V2, {"cpu.max": "200000 100000"}, 2.0),  # a container of its own name space
        (
            JOB1,
            V1,
            {
                "cpu/jobs/one/cpu.cfs_quota_us": "150000",
                "cpu/jobs/one/cpu.cfs_period_us": "100000",
            },
            1.5,
        ),
        (
            JOB1,
            V1,
            {"cpu/jobs/cpu.cfs_quota_us": "25000", "cpu/jobs/cpu.cfs_period_us": "50000"},
            0.5,
        ),
        (
            JOB1,
            V1,
            {"cpu/jobs/one/cpu.cfs_quota_us": "-1", "cpu/jobs/one/cpu.cfs_period_us": "100000"},
            None,
        ),
        ("", "", {}, None),
    ],
)
def test_the_tightest_quota_counts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    groups: str,
    mounts: str,
    files: dict[str, str],
    limit: float | None,
) -> None:
    machine(tmp_path, monkeypatch, groups=groups, mounts=mounts, files=files)
    assert cgroup.cpu_limit() == limit


@pytest.mark.parametrize("root", ["/docker/abc", "/elsewhere"])
def test_a_container_sees_its_group_at_the_top(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    """Version 1 shows paths of the host within a container, and mounts the container's own group."""
    files = {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}
    groups = "4:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc"
    machine(tmp_path, monkeypatch, groups=groups, mounts=V1, files=files, root=root)
    assert cgroup.cpu_limit() == 2.0


def test_fewer_allowed_processors_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0}, raising=False)
    monkeypatch.setattr(cgroup, "cpu_limit", lambda: 1.5)
    assert cgroup.usable_cores() == 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2}, raising=False)
    assert cgroup.usable_cores() == 1.5


MIB = 2**20


@pytest.mark.parametrize(
    ("groups", "mounts", "files", "left"),
    [
        (
            JOB2,
            V2,
            {
                "jobs/one/memory.max": str(512 * MIB),
                "jobs/one/memory.current": str(300 * MIB),
                "jobs/one/memory.stat": f"anon 5\ninactive_file {100 * MIB}",
            },
            312 * MIB,
        ),
        (
            JOB1,
            V1,
            {
                "memory/jobs/one/memory.limit_in_bytes": str(512 * MIB),
                "memory/jobs/one/memory.usage_in_bytes": str(300 * MIB),
            },
            212 * MIB,
        ),
        (
            JOB1,
            V1,
            {
                "memory/jobs/one/memory.limit_in_bytes": str(2**63 - 4096),
                "memory/jobs/one/memory.usage_in_bytes": "1",
            },
            None,
        ),
        (JOB2, V2, {"jobs/one/memory.max": "max", "jobs/one/memory.current": "1"}, None),
    ],
)
def test_memory_is_what_the_group_has_left(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    groups: str,
    mounts: str,
    files: dict[str, str],
    left: int | None,
) -> None:
    machine(tmp_path, monkeypatch, groups=groups, mounts=mounts, files=files)
    assert cgroup.memory_available() == left
    if left:
        assert doctor._memory().state == "broken"
