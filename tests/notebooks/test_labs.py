"""The labs themselves: every cell runs, every verdict is the stored one, and the exercises can be solved."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labs.records import load_record
from labs.running.notebooks import FOLDER, Lab
from labs.running.outputs import read
from labs.verdicts import Outcome
from tests.labs.toys import write_lab

MOST_SECONDS = 900
"""A lab whose every measurement is extended three times, because others use the machine."""

NBVAL = [
    sys.executable,
    "-m",
    "pytest",
    "-q",
    "-p",
    "no:cacheprovider",
    "-c",
    os.devnull,
    "--nbval",
]


def nbval(path: Path, runs: Path, runtime: str) -> subprocess.CompletedProcess[str]:
    variables = {"LAB_RUNTIME": runtime, "LAB_PROFILE": "quick", "LAB_RUNS": str(runs)}
    others = {name: value for name, value in os.environ.items() if name != "LAB_GUESSES"}
    return subprocess.run(
        [*NBVAL, "--nbval-cell-timeout", "180", str(path)],
        env={**others, **variables},
        cwd=path.parent,
        capture_output=True,
        text=True,
        timeout=MOST_SECONDS,
    )


LABS = sorted(FOLDER.glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.timeout(MOST_SECONDS + 30)
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[pytest.mark.core] * (path == LABS[0]), id=path.stem)
        for path in LABS
    ],
)
def test_every_cell_runs_and_every_verdict_is_the_stored_one(path: Path, tmp_path: Path) -> None:
    done = nbval(path, tmp_path, "process")
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.timeout(MOST_SECONDS + 30)
@pytest.mark.parametrize("path", LABS, ids=lambda path: path.stem)
def test_every_lab_runs_headless_on_containers(path: Path, tmp_path: Path) -> None:
    phase = path.name.partition("_")[0]
    command = [sys.executable, "-m", "labs.cli", "run", phase, "--runtime", "docker"]
    command += [
        "--repetitions",
        "1",
    ]  # a second attempt can confirm a failure; others use the machine
    done = subprocess.run(
        [*command, "--out", str(tmp_path)], capture_output=True, text=True, timeout=MOST_SECONDS
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    # On two cores that the engine shares a verdict may be inconclusive; none may fail, and none be missing.
    record = load_record(tmp_path / "latest")
    outcomes = {name: record.verdict(name).outcome for name in Lab.read(path).experiments}
    assert Outcome.FAIL not in outcomes.values()
    assert (tmp_path / "report.html").exists()


@pytest.mark.parametrize(("says", "status"), [("PASS: it holds", 0), ("FAIL: it does not", 1)])
def test_nbval_compares_a_verdict_as_we_store_it(tmp_path: Path, says: str, status: int) -> None:
    path = write_lab(tmp_path / "labs", "from labs.verdicts import Verdict", f"print({says!r})")
    import nbformat

    notebook = read(path)
    cell = notebook.cells[-1]
    cell.metadata["tags"] = ["verdict", "keep_output"]
    cell.execution_count = 1
    cell.outputs = [nbformat.v4.new_output("stream", text="PASS: it holds\n")]  # type: ignore[no-untyped-call]
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
    assert nbval(path, tmp_path, "process").returncode == status
