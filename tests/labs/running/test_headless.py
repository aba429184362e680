"""`lab run`: the right exit status in bounded time, and nothing left behind, whatever a cell does."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from environment.waiting import wait_until
from labs.records import Record, load_record
from labs.running import headless
from labs.running.headless import run_labs
from tests.labs.toys import JUDGED, KEPT, write_lab

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def labs(tmp_path: Path) -> Path:
    return tmp_path / "labs"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture(autouse=True)
def _tests_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels of toy labs import the synthetic samples."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def run(
    labs: Path, out: Path, *, cell_seconds: float = 60, **more: dict[str, str]
) -> tuple[int, Record]:
    status = run_labs([], folder=labs, out=out, cell_seconds=cell_seconds, **more)  # type: ignore[arg-type]
    return status, load_record(out / "latest")


def test_a_lab_that_runs_through_leaves_its_record_notebook_and_report(
    labs: Path, out: Path
) -> None:
    write_lab(labs, JUDGED, KEPT, "run.finish()")
    status, record = run(labs, out, parameters={"SEED": "11"})
    assert status == 0
    assert record.facts["status"] == "complete"
    assert record.facts["seed"] == 11
    assert record.experiments == ["versions"]
    assert (record.path / "phase0_toy.ipynb").exists()
    assert record.path.name in (out / "report.html").read_text()
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_a_failing_cell_fails_the_run_and_keeps_what_was_measured(
    labs: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lab(labs, JUDGED, KEPT, "1 / 0")
    status, record = run(labs, out)
    assert status == 1
    assert record.facts["status"] == "failed"
    assert record.facts["failure"]["why"] == "ZeroDivisionError: division by zero"
    assert record.experiments == ["versions"]
    assert "ZeroDivisionError" in capsys.readouterr().out


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "os._exit(0)"])
def test_a_dying_kernel_fails_the_run_within_seconds(labs: Path, out: Path, end: str) -> None:
    write_lab(labs, f"import os; {end}", "2 + 2")
    began = time.monotonic()
    status, record = run(labs, out)
    assert status == 1
    assert record.facts["failure"]["why"] == "the kernel died"
    assert time.monotonic() - began < 30


def test_a_cell_that_leaves_python_does_not_pass_for_success(labs: Path, out: Path) -> None:
    """papermill alone exits 0 here, with the cells behind it unrun."""
    write_lab(labs, "import sys; sys.exit(0)", "1 / 0")
    status, record = run(labs, out)
    assert status == 1
    assert "did not run" in record.facts["failure"]["why"]


@pytest.mark.parametrize(
    "hang",
    ["import time; time.sleep(600)", "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"],
    ids=["sleeping", "stopped"],
)
def test_a_hanging_cell_ends_at_its_limit(labs: Path, out: Path, hang: str) -> None:
    write_lab(labs, hang)
    began = time.monotonic()
    status, record = run(labs, out, cell_seconds=3)
    assert status == 1
    assert "longer than its limit of 3 s" in record.facts["failure"]["why"]
    assert time.monotonic() - began < 45


@pytest.mark.parametrize(
    ("change", "status"),
    [("samples.loc[0, 'observed'] = '9'", 1), ("samples = samples.drop(index=0)", 0)],
    ids=["fails", "inconclusive"],
)
def test_a_failing_verdict_fails_the_run_and_an_inconclusive_one_is_reported_loudly(
    labs: Path, out: Path, change: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lab(labs, JUDGED, change, KEPT)
    assert run(labs, out)[0] == status
    assert ("FAIL" if status else "INCONCLUSIVE") in capsys.readouterr().out


def test_an_expected_verdict_that_never_comes_fails_the_run(
    labs: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lab(labs, f"if False:\n    {KEPT}")
    assert run(labs, out)[0] == 1
    assert "MISSING" in capsys.readouterr().out
    assert "missing" in (out / "report.html").read_text()


def test_a_lab_that_fails_does_not_keep_the_next_from_running(labs: Path, out: Path) -> None:
    write_lab(labs, "1 / 0", phase="phase0")
    write_lab(labs, "2 + 2", phase="phase1")
    assert run(labs, out)[0] == 1
    assert "phase0" in (out / "report.html").read_text()
    assert load_record(out / "latest").facts["phase"] == "phase1"
    assert run_labs(["phase1"], folder=labs, out=out) == 0


@pytest.mark.parametrize(
    ("phases", "more", "said"),
    [
        (["phase9"], {}, "there are: phase0"),
        ([], {"profile": "slow"}, "quick, full"),
        ([], {"parameters": {"SPEED": "1"}}, "PROFILE, RUNTIME, SEED"),
        ([], {"parameters": {"SEED": "lucky"}}, "SEED is a number"),
    ],
)
def test_a_word_nobody_knows_is_answered_with_those_there_are(
    labs: Path,
    out: Path,
    phases: list[str],
    more: dict[str, str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_lab(labs, "2 + 2")
    assert run_labs(phases, folder=labs, out=out, **more) == 2  # type: ignore[arg-type]
    assert said in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


def test_what_a_lab_starts_belongs_to_the_command_which_stops_it(
    labs: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    owner = "psutil.Process().parent().parent().pid"  # of the kernel's worker: this process
    write_lab(labs, f"import os, psutil; assert os.environ['LAB_OWNER'] == str({owner})")
    monkeypatch.setattr(headless, "stop_owned", lambda: ["k3f9"])
    assert run(labs, out)[0] == 0
    assert "stopped session k3f9" in capsys.readouterr().out


COMMAND = """
import sys
from pathlib import Path
from labs.running.headless import run_labs
sys.exit(run_labs([], folder=Path(sys.argv[1]), out=Path(sys.argv[2])))
"""

HANG = "import os, pathlib, time; pathlib.Path(r'{}').write_text(str(os.getpid())); time.sleep(600)"


def hanging(labs: Path, out: Path) -> tuple[subprocess.Popen[bytes], psutil.Process]:
    """A `lab run` in the middle of a cell, and the kernel of that cell."""
    out.mkdir()
    write_lab(labs, HANG.format(out / "kernel"))
    command = subprocess.Popen([sys.executable, "-c", COMMAND, str(labs), str(out)])
    note = out / "kernel"
    found = wait_until(
        lambda: note.read_text() if note.exists() else "",
        timeout=60,
        give_up=lambda: command.poll() is not None,
    )
    assert found
    return command, psutil.Process(int(found))


def gone(process: psutil.Process) -> bool:
    """Ended; nobody may have reaped it yet where process 1 is not an init."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_run_cleanly(labs: Path, out: Path, number: signal.Signals) -> None:
    command, kernel = hanging(labs, out)
    command.send_signal(number)
    assert command.wait(30) == 128 + number
    assert gone(kernel)
    assert load_record(out / "latest").facts["failure"]["why"] == "it was stopped"
    assert (out / "report.html").exists()


def test_a_killed_command_takes_its_kernel_along(labs: Path, out: Path) -> None:
    command, kernel = hanging(labs, out)
    os.kill(command.pid, signal.SIGKILL)
    command.wait(10)
    assert wait_until(lambda: gone(kernel), timeout=15)
