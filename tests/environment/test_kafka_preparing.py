"""What a broker's start finds prepared, and how it starts without."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from environment.kafka import preparing, starting
from environment.kafka.starting import ARCHIVE, LOG, META, STORAGE, prepared
from environment.runtimes import programs

ADDRESSES = dict.fromkeys(("OUTSIDE", "INSIDE", "CONTROLLER"), "127.0.0.1:9")


class Become(Exception):
    """What takes the place of `exec`: the command that the process would become."""


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Starts a broker in `tmp_path/data` up to its `exec`, with jars in `tmp_path/jars`; returns the command."""
    for name, value in {"HOST": "127.0.0.1", "PORT": "9", **ADDRESSES}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)  # and back, since a start changes it
    (tmp_path / "data").mkdir()
    (tmp_path / "jars").mkdir()
    (tmp_path / "java").touch()
    for name in ("b.jar", "a.jar"):
        (tmp_path / "jars" / name).touch()

    def become(program: str, command: list[str]) -> None:
        raise Become(command)

    monkeypatch.setattr(os, "execvp", become)

    def run() -> list[str]:
        with pytest.raises(Become) as caught:
            starting.start(str(tmp_path / "java"), str(tmp_path / "jars"))
        return list(caught.value.args[0])

    return run


@pytest.fixture
def formatted(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands of what would format a storage."""
    commands: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: commands.append(command))
    return commands


def make_prepared(folder: Path) -> Path:
    """Makes what was prepared, with the storage's file of metadata in it."""
    ready = prepared(str(folder / "java"), str(folder / "jars"))
    (ready / STORAGE / "__cluster_metadata-0").mkdir(parents=True)
    (ready / STORAGE / META).write_text("cluster.id=prepared")
    (ready / STORAGE / "__cluster_metadata-0" / "0.checkpoint").write_bytes(b"records")
    (ready / ARCHIVE).touch()
    return ready


def test_a_new_broker_takes_the_prepared_storage_and_archive(
    tmp_path: Path, start: Callable[[], list[str]], formatted: list[list[str]]
) -> None:
    ready = make_prepared(tmp_path)
    command = start()
    assert formatted == []
    log = tmp_path / "data" / LOG
    assert (log / META).read_text() == "cluster.id=prepared"
    assert (log / "__cluster_metadata-0" / "0.checkpoint").read_bytes() == b"records"
    assert command[1] == f"-XX:SharedArchiveFile=jars/{ready.name}/{ARCHIVE}"
    assert command[command.index("-cp") + 1] == "jars/a.jar:jars/b.jar"


def test_a_broker_that_has_a_storage_keeps_it(
    tmp_path: Path, start: Callable[[], list[str]], formatted: list[list[str]]
) -> None:
    make_prepared(tmp_path)
    log = tmp_path / "data" / LOG
    log.mkdir()
    (log / META).write_text("cluster.id=mine")
    start()
    assert (log / META).read_text() == "cluster.id=mine"
    assert [path.name for path in log.iterdir()] == [META]


def test_without_anything_prepared_a_broker_formats_its_storage(
    tmp_path: Path, start: Callable[[], list[str]], formatted: list[list[str]]
) -> None:
    command = start()
    assert "format" in formatted[0]
    assert not any("SharedArchiveFile" in word for word in command)


def test_another_java_has_another_preparation(tmp_path: Path) -> None:
    one, other = tmp_path / "java", tmp_path / "other"
    one.touch()
    other.touch()
    assert prepared(str(one), "jars") == prepared(str(one), "jars")
    assert prepared(str(one), "jars") != prepared(str(other), "jars")
    before = prepared(str(one), "jars")
    os.utime(one, (1, 1))  # an update in place
    assert prepared(str(one), "jars") != before


def test_a_preparation_that_fails_leaves_nothing_and_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "no_java").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "no_java").chmod(0o755)
    jars = tmp_path / "jars"
    jars.mkdir()
    found = {"java": str(tmp_path / "no_java"), programs.JARS: str(jars)}
    monkeypatch.setattr(programs, "program", lambda word: found[word])
    said: list[str] = []
    programs.prepare_brokers(dict(os.environ), said.append)
    assert said[0].startswith("preparing Kafka, once")
    assert said[1].startswith("Kafka was not prepared")
    assert list(jars.iterdir()) == []


def test_a_broker_that_ends_before_it_serves_is_no_preparation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match="ended before it served"):
        preparing._list_classes(["echo"])


def test_a_broker_that_never_serves_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(preparing, "SECONDS", 0.2)
    (tmp_path / "silent").write_text("#!/bin/sh\nexec sleep 30\n")
    (tmp_path / "silent").chmod(0o755)
    with pytest.raises(OSError, match="did not serve"):
        preparing._list_classes([str(tmp_path / "silent")])
