"""The process of `lab`: what of the shell's settings reaches it, and what it does when its output fails."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from environment import Environment
from environment.folders import live_sessions

LAB = Path(sys.executable).with_name("lab")
STARTS = {"script": [str(LAB)], "module": [sys.executable, "-m", "labs.cli"]}

HOSTILE = {
    "PYTHONPATH": "elsewhere",
    "PYTHONSTARTUP": "elsewhere/yaml.py",
    "PYTHONWARNINGS": "error",
    "PYTHONOPTIMIZE": "2",
    "PYTHONINSPECT": "1",
    "PYTHONIOENCODING": "ascii",
    "PYTHONSAFEPATH": "1",
}


def lab(
    *words: str,
    start: str = "script",
    cwd: Path | None = None,
    variables: dict[str, str] | None = None,
    stdout: IO[str] | int = subprocess.PIPE,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*STARTS[start], *words],
        cwd=cwd,
        env=os.environ | (variables or {}),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def up() -> Iterator[str]:
    with Environment("phase0", runtime="process", only=["user-service"]) as environment:
        yield str(environment.session)


@pytest.fixture
def homework(tmp_path: Path) -> Path:
    """A folder whose modules have the names of Python's and of installed ones."""
    for place in (tmp_path, tmp_path / "elsewhere"):
        place.mkdir(exist_ok=True)
        for name in ("yaml.py", "typer.py", "random.py"):
            (place / name).write_text("raise SystemExit('a module of the user was imported')")
    return tmp_path


@pytest.mark.parametrize("variables", [{}, HOSTILE], ids=["plain", "hostile"])
@pytest.mark.parametrize("start", STARTS)
def test_modules_and_settings_of_the_user_stay_out(
    homework: Path, start: str, variables: dict[str, str]
) -> None:
    done = lab("up", "phase99", start=start, cwd=homework, variables=variables)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "phase0" in done.stderr


@pytest.mark.parametrize("words", [["--help"], ["kafka", "--help"], ["ps", "--json"]], ids=str)
def test_a_full_disk_under_the_output_gets_a_sentence(up: str, words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = lab(*words, stdout=full)
    assert done.returncode == 1
    assert done.stderr == "error: The output cannot be written: No space left on device.\n"


@pytest.mark.parametrize("words", [["--help"], ["ps"], ["logs", "user-service"]], ids=str)
def test_a_reader_that_ends_early_ends_the_command_quietly(up: str, words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = lab(*words, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_session_whose_name_cannot_be_written_is_removed() -> None:
    before = live_sessions()
    with Path("/dev/full").open("w") as full:
        done = lab("up", "phase0", "--runtime", "process", "--json", stdout=full)
    assert done.returncode == 1
    assert live_sessions() == before


def test_messages_that_cannot_be_written_are_lost() -> None:
    with Path("/dev/full").open("w") as full:
        command = [*STARTS["script"], "up", "phase99"]
        assert subprocess.run(command, stdout=full, stderr=full).returncode == 2


def test_closed_streams_do_no_harm() -> None:
    done = subprocess.run(["sh", "-c", f"{LAB} up phase99 <&- >&- 2>&-"])
    assert done.returncode == 2
