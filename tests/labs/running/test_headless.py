"""`lab run`: the right exit status in bounded time, and nothing left behind, whatever a cell does."""

import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from environment.waiting import wait_until
from labs.records import Record, load_record
from labs.running import headless
from labs.running.headless import run_labs
from tests.labs.toys import JUDGED, KEPT, write_lab

ROOT = Path(__file__).resolve().parents[3]

CELLS = {
    "killed": ("import os", "os.kill(os.getpid(), 9)", "2 + 2"),
    "exits": ("import os", "os._exit(0)", "2 + 2"),
    "leaves": ("import sys; sys.exit(0)", "1 / 0"),
    "sleeps": ("import time; time.sleep(600)",),
    "stopped": ("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",),
    "kills papermill": ("import os; os.kill(os.getppid(), 9)",),
}
"""Cells that end a notebook in a way that papermill alone does not report, or not in time."""

NOTE_TIME = """
import os, pathlib, time
pathlib.Path(os.environ["LAB_RUNS"], "began").write_text(str(time.time()))
"""
"""A cell before them, so that the time counts from there and not from the start of a busy machine's kernel."""


class Ended(NamedTuple):
    """How a `lab run` ended: exit status, the record, seconds since `NOTE_TIME`."""

    status: int
    record: Record
    seconds: float

    @property
    def why(self) -> str:
        return str(self.record.facts["failure"]["why"])


@pytest.fixture(scope="module", autouse=True)
def _path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let kernels of toy labs import the synthetic samples, and no process compile a grammar.

    jsonschema compiles the grammar of IRIs when it is imported, for a second, if `rfc3987_syntax` can be.
    """
    without = tmp_path_factory.mktemp("without")
    (without / "rfc3987_syntax.py").write_text("raise ImportError")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{without}{os.pathsep}{ROOT}")
        yield


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """How a run of each of `CELLS` ended. All at once: most of their time is waiting."""

    def run_cells(name: str) -> Ended:
        folder = tmp_path_factory.mktemp("ended")
        write_lab(folder / "labs", NOTE_TIME, *CELLS[name])
        status = run_labs([], folder=folder / "labs", out=folder, cell_seconds=3)
        seconds = time.time() - float((folder / "began").read_text())
        return Ended(status, load_record(folder / "latest"), seconds)

    with ThreadPoolExecutor(len(CELLS)) as threads:
        return dict(zip(CELLS, threads.map(run_cells, CELLS), strict=True))


@pytest.mark.parametrize("name", CELLS)
def test_a_notebook_that_does_not_run_through_fails_the_run(
    ended: dict[str, Ended], name: str
) -> None:
    assert ended[name].status == 1
    assert ended[name].record.facts["status"] == "failed"


@pytest.mark.parametrize("name", ["killed", "exits"])
def test_a_dying_kernel_fails_the_run_within_seconds(ended: dict[str, Ended], name: str) -> None:
    assert ended[name].why == "the kernel died"
    assert ended[name].seconds < 30


def test_a_cell_that_leaves_python_is_no_success(ended: dict[str, Ended]) -> None:
    """papermill alone exits 0 here, with the cells after it unrun."""
    assert "did not run" in ended["leaves"].why


@pytest.mark.parametrize("name", ["sleeps", "stopped"])
def test_a_hanging_cell_ends_at_its_limit(ended: dict[str, Ended], name: str) -> None:
    assert "longer than its limit of 3 s" in ended[name].why
    assert ended[name].seconds < 45


def test_an_end_of_papermill_is_explained(ended: dict[str, Ended]) -> None:
    why = ended["kills papermill"].why
    assert "was ended by SIGKILL" in why
    assert "Run the lab again" in why
    assert ended["kills papermill"].record.facts["failure"]["cell"] == 4  # after the parameters


@pytest.fixture(scope="module")
def two_labs(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path, str]:
    """A run of a lab that fails in its last cell and of one that succeeds: exit status, folder, output."""
    folder = tmp_path_factory.mktemp("two")
    owner = "psutil.Process().parent().parent().pid"  # of the kernel's worker: this process
    owned = f"import os, psutil; assert os.environ['LAB_OWNER'] == str({owner})"
    write_lab(folder / "labs", JUDGED, KEPT, "1 / 0", phase="phase0")
    write_lab(folder / "labs", JUDGED, KEPT, owned, "run.finish()", phase="phase1")
    printed = io.StringIO()
    with redirect_stdout(printed), pytest.MonkeyPatch.context() as patch:
        patch.setattr(headless, "stop_owned", lambda: ["k3f9"])
        status = run_labs(
            [], folder=folder / "labs", out=folder / "runs", parameters={"SEED": "11"}
        )
    return status, folder / "runs", printed.getvalue()


def record_of(out: Path, phase: str) -> Record:
    (path,) = out.glob(f"[0-9]*/{phase}_toy.ipynb")  # not by `latest`
    return load_record(path.parent)


def test_a_failing_cell_fails_the_run_and_keeps_what_was_measured(
    two_labs: tuple[int, Path, str],
) -> None:
    status, out, printed = two_labs
    record = record_of(out, "phase0")
    assert status == 1
    assert record.facts["status"] == "failed"
    assert record.facts["failure"]["why"] == "ZeroDivisionError: division by zero"
    assert record.experiments == ["versions"]
    assert "ZeroDivisionError" in printed


def test_the_lab_after_a_failing_one_runs_to_its_end(two_labs: tuple[int, Path, str]) -> None:
    _, out, _ = two_labs
    record = load_record(out / "latest")
    assert record.path == record_of(out, "phase1").path
    assert record.facts["status"] == "complete"
    assert record.facts["seed"] == 11
    assert record.experiments == ["versions"]
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_what_a_lab_starts_is_stopped_by_the_command(two_labs: tuple[int, Path, str]) -> None:
    """The lab's own check of its owner ran: it is a cell of the lab that succeeds."""
    assert two_labs[2].count("stopped session k3f9") == 2


def test_the_report_is_about_all_labs_of_the_run(two_labs: tuple[int, Path, str]) -> None:
    _, out, printed = two_labs
    (page,) = (out / "reports").iterdir()
    text = page.read_text()
    assert str(page) in printed
    assert all(record_of(out, phase).path.name in text for phase in ("phase0", "phase1"))


@pytest.fixture
def labs(tmp_path: Path) -> Path:
    return tmp_path / "labs"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def without_kernel(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Let runs execute no notebook, and leave the record that one would leave, of changed samples."""

    def prepare(change: str | None) -> None:
        class Execution:
            def __init__(self, *_: Any, variables: dict[str, str], **__: Any) -> None:
                self.variables = variables

            def run(self) -> None:
                with pytest.MonkeyPatch.context() as patch:
                    for name, value in self.variables.items():
                        patch.setenv(name, value)
                    names: dict[str, Any] = {"SEED": 7, "PROFILE": "quick"}
                    if change is not None:
                        exec("\n".join([JUDGED, change, KEPT]), names)

        monkeypatch.setattr(headless, "Execution", Execution)

    return prepare


Prepare = Callable[[str | None], None]


@pytest.mark.parametrize(
    ("change", "status", "shown"),
    [
        ("", 0, "PASS"),
        ("samples.loc[0, 'observed'] = '9'", 1, "FAIL"),
        ("samples = samples.drop(index=0)", 0, "INCONCLUSIVE"),
        (None, 1, "MISSING"),
    ],
    ids=["pass", "fail", "inconclusive", "missing"],
)
def test_a_verdict_is_shown_and_decides_the_exit_status(
    labs: Path,
    out: Path,
    without_kernel: Prepare,
    change: str | None,
    status: int,
    shown: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_lab(labs, KEPT)
    without_kernel(change)
    assert run_labs([], folder=labs, out=out) == status
    assert re.search(rf"^  {shown} +versions", capsys.readouterr().out, re.MULTILINE)
    (page,) = (out / "reports").iterdir()
    assert shown.lower() in page.read_text()


def test_a_verdict_line_has_the_seconds_of_its_experiment(
    labs: Path, out: Path, without_kernel: Prepare, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lab(labs, KEPT)
    without_kernel("run._seconds['versions'] = 12.34")
    assert run_labs([], folder=labs, out=out) == 0
    assert re.search(r"PASS +versions +12\.3s", capsys.readouterr().out)


def test_each_run_keeps_its_report_and_one_page_leads_to_the_latest(
    labs: Path, out: Path, without_kernel: Prepare
) -> None:
    write_lab(labs, KEPT, phase="phase0")
    write_lab(labs, KEPT, phase="phase1")
    without_kernel("")
    run_labs([], folder=labs, out=out)
    (of_both,) = (out / "reports").iterdir()
    first = of_both.read_text()
    run_labs(["phase1"], folder=labs, out=out)
    (of_one,) = {*(out / "reports").iterdir()} - {of_both}
    assert of_both.read_text() == first
    assert first.count("<section>") == 2
    assert of_one.read_text().count("<section>") == 1
    latest = (out / "report.html").read_text()
    assert f'url=reports/{of_one.name}"' in latest
    assert f'href="reports/{of_one.name}"' in latest


@pytest.mark.parametrize(
    ("phases", "more", "message"),
    [
        (["phase9"], {}, "there are: phase0"),
        ([], {"profile": "slow"}, "quick, full"),
        ([], {"parameters": {"SPEED": "1"}}, "PROFILE, RUNTIME, SEED"),
        ([], {"parameters": {"SEED": "lucky"}}, "SEED is a number"),
    ],
)
def test_an_unknown_name_is_answered_with_the_existing_ones(
    labs: Path,
    out: Path,
    phases: list[str],
    more: dict[str, Any],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_lab(labs, "2 + 2")
    assert run_labs(phases, folder=labs, out=out, **more) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


COMMAND = """
import sys
from pathlib import Path
from labs.running.headless import run_labs
sys.exit(run_labs([], folder=Path(sys.argv[1]), out=Path(sys.argv[2])))
"""

HANG = "import os, pathlib, time; pathlib.Path(r'{}').write_text(str(os.getpid())); time.sleep(600)"


class Hanging(NamedTuple):
    """A `lab run` in the middle of a cell: its process, that of its kernel, its folder."""

    command: subprocess.Popen[bytes]
    kernel: psutil.Process
    out: Path


SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGKILL")


@pytest.fixture(scope="module")
def hanging(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Hanging]:
    """A run in the middle of a cell for each signal, all started at once."""
    runs = {}
    for name in SIGNALS:
        folder = tmp_path_factory.mktemp(name)
        write_lab(folder / "labs", HANG.format(folder / "kernel"))
        words = [sys.executable, "-c", COMMAND, str(folder / "labs"), str(folder / "runs")]
        runs[name] = (subprocess.Popen(words), folder)
    return {
        name: Hanging(command, kernel_of(command, folder / "kernel"), folder / "runs")
        for name, (command, folder) in runs.items()
    }


def kernel_of(command: subprocess.Popen[bytes], note: Path) -> psutil.Process:
    pid = wait_until(
        lambda: note.read_text() if note.exists() else "",
        timeout=90,
        give_up=lambda: command.poll() is not None,
    )
    assert pid
    return psutil.Process(int(pid))


def gone(process: psutil.Process) -> bool:
    """Return whether it ended; where process 1 is no init it may stay as a zombie."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_the_run_cleanly(hanging: dict[str, Hanging], name: str) -> None:
    command, kernel, out = hanging[name]
    command.send_signal(signal.Signals[name])
    assert command.wait(30) == 128 + signal.Signals[name]
    assert gone(kernel)
    assert load_record(out / "latest").facts["failure"]["why"] == "the run was stopped"
    assert (out / "report.html").exists()


def test_a_killed_command_takes_its_kernel_along(hanging: dict[str, Hanging]) -> None:
    command, kernel, _ = hanging["SIGKILL"]
    os.kill(command.pid, signal.SIGKILL)
    command.wait(10)
    assert wait_until(lambda: gone(kernel), timeout=15)
