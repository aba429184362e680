"""scripts/test.py and scripts/check.py: the tiers, what the fast one names at its end, and exit codes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scripts.test_venv import ROOT, load


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ([], ["-n", "3", "--dist", "loadfile", "-m", "not long", "-p", "tests.tiers"]),
        (["--all"], ["-n", "2", "--dist", "loadfile"]),
        (["--all", "-x"], ["-n", "2", "--dist", "loadfile", "-x"]),
        (["tests/labs", "-k", "load"], ["tests/labs", "-k", "load"]),
    ],
)
def test_arguments_choose_the_tier(
    given: list[str], passed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))  # and takes it off again
    assert load(ROOT, "_tests").pytest_arguments(given) == passed


SUITE = """
import pytest

@pytest.mark.long
@pytest.mark.parametrize("number", [1, 2])
def test_long(number): pass

def test_short(): pass
"""


@pytest.mark.parametrize("workers", [[], ["-p", "xdist.plugin", "-n", "3", "--dist", "loadfile"]])
def test_the_fast_tier_names_what_it_left_out(tmp_path: Path, workers: list[str]) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = long: long\n")
    for folder in ("labs", "mutants"):
        (tmp_path / "suite" / folder).mkdir(parents=True)
        (tmp_path / "suite" / folder / f"test_{folder}.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "--rootdir", str(tmp_path), *workers]
    done = subprocess.run(
        [
            *command,
            "-c",
            str(tmp_path / "pytest.ini"),
            "-p",
            "tests.tiers",
            "-m",
            "not long",
            str(tmp_path),
        ],
        cwd=ROOT,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # they take long to import
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout
    assert "This tier left out 4 tests: suite/labs 2, suite/mutants 2." in lines
    assert any("`python3 scripts/test.py --all` runs them." in line for line in lines)
    assert "2 passed" in lines[-1]


def test_check_runs_every_step_and_fails_when_one_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    check = load(ROOT, "_static_checks")
    monkeypatch.setattr(check, "VENV", Path("/"))
    monkeypatch.setattr(check, "ready_python", lambda arguments, tools: (Path(sys.executable), []))
    monkeypatch.setattr(
        check,
        "STEPS",
        {"first": ["sh", "-c", "echo why; exit 3"], "second": ["sh", "-c", "exit 0"]},
    )
    with pytest.raises(SystemExit) as failed:
        check.main([])
    assert failed.value.code == 1
    printed = capsys.readouterr().out
    assert "why" in printed
    assert "Failed: first." in printed
    monkeypatch.setattr(check, "STEPS", {"second": ["sh", "-c", "exit 0"]})
    with pytest.raises(SystemExit) as passed:
        check.main([])
    assert passed.value.code == 0
