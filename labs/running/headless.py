"""`lab run`: the labs without a browser. Progress, verdicts, a record of each lab, one report, exit status.

Exit status: 0 when every cell ran, every expected verdict was given and none is a failure (inconclusive ones are
reported and do not count); 1 otherwise; 2 for a phase, profile or parameter that does not exist; 128 + the signal's
number after an interrupt.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, get_args

from rich.console import Console
from rich.text import Text

from environment import LabError, stop_owned
from environment.errors import UnknownName
from environment.kafka.jars import download
from environment.phases import phase_names, read_phase
from environment.specification import DatabaseName, RuntimeName
from labs.experiment import REPETITIONS
from labs.records import Record, RecordFolder, load_record, runs_folder
from labs.running.execution import CellEvent, Execution, Failure
from labs.running.notebooks import FOLDER, Lab, choose, read_parameters
from labs.running.report import write_report
from labs.verdicts import Outcome

PROFILES = ("quick", "full")
RUNTIMES = get_args(RuntimeName)
DATABASES = get_args(DatabaseName)

CELL_SECONDS = {"quick": 300.0, "full": 900.0}
"""Limit of one cell: it may measure twice or more, with a second system beside the first, on a busy machine."""

STYLES = {Outcome.PASS: "bold green", Outcome.FAIL: "bold red", Outcome.INCONCLUSIVE: "bold yellow"}


class Stopped(BaseException):
    """Raised when the command receives a signal that ends it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@dataclass(frozen=True)
class Result:
    """The result of one lab: its record, and why it did not run through, if it did not."""

    lab: Lab
    record: Record
    failure: Failure | None

    @property
    def outcomes(self) -> dict[str, Outcome | None]:
        """The outcome of every expected or given verdict; None where an expected one is missing."""
        given = {name: self.record.verdict(name).outcome for name in self.record.experiments}
        return {name: given.get(name) for name in (*self.lab.experiments, *given)}

    def seconds(self, name: str) -> float | None:
        """Return how long an experiment's measurement took; None when it is not recorded."""
        entry = self.record.facts["experiments"].get(name, {})
        return entry.get("seconds")  # type: ignore[no-any-return]

    @property
    def passed(self) -> bool:
        """Whether every cell ran and no verdict failed or is missing; an inconclusive one counts as passed."""
        outcomes = self.outcomes.values()
        return not self.failure and None not in outcomes and Outcome.FAIL not in outcomes


def run_labs(
    phases: Sequence[str],
    *,
    profile: str = "quick",
    runtime: str = "auto",
    parameters: Mapping[str, str] | None = None,
    repetitions: int = REPETITIONS,
    out: Path | None = None,
    folder: Path = FOLDER,
    cell_seconds: float | None = None,
) -> int:
    """Run these labs (all when none is named), one after the other, and return the exit status.

    Args:
        phases: The labs' phases.
        profile: `quick` or `full`.
        runtime: `auto`, `docker` or `process`.
        parameters: Values of the notebooks' parameters, as texts of the command line.
        repetitions: How often an inconclusive measurement is repeated at most.
        out: The folder of records and reports; `runs/` by default.
        folder: The folder of the notebooks.
        cell_seconds: The limit of one cell; by default the profile's.
    """
    console = Console(highlight=False)
    root = (out or runs_folder()).resolve()
    try:
        labs = choose(phases, folder)
        values = {"PROFILE": profile, "RUNTIME": runtime} | read_parameters(parameters or {}, labs)
        _one_of("profile", values["PROFILE"], PROFILES)
        _one_of("runtime", values["RUNTIME"], RUNTIMES)
        _one_of("database", values.get("DATABASE", "sqlite"), DATABASES)
        _writable(root)
    except LabError as problem:
        Console(stderr=True, highlight=False).print(f"[bold red]error:[/] {problem}")
        return 2
    longest = cell_seconds or CELL_SECONDS[values["PROFILE"]]
    runner = Runner(console, root, values, longest, repetitions)
    try:
        with _signals():
            for lab in labs:
                runner.run(lab)
    except (Stopped, KeyboardInterrupt) as stop:
        number = stop.number if isinstance(stop, Stopped) else signal.SIGINT
        console.print("[bold red]stopped[/]: everything that this command started is removed")
        return 128 + number
    finally:
        runner.report()
    return 0 if all(result.passed for result in runner.results) else 1


def _one_of(what: str, name: object, known: Sequence[str]) -> None:
    if name not in known:
        raise UnknownName(f"no {what} {name!r}; there are: {', '.join(known)}")


def _writable(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=root).close()
    except OSError as problem:
        raise LabError(
            f"run records cannot be written to {root} ({problem}); choose another folder with --out"
        ) from None


class Runner:
    """Runs labs one by one, and keeps their results."""

    def __init__(
        self,
        console: Console,
        root: Path,
        values: Mapping[str, Any],
        cell_seconds: float,
        repetitions: int,
    ) -> None:
        self.console = console
        self.root = root
        self.values = values
        self.cell_seconds = cell_seconds
        self.repetitions = repetitions
        self.results: list[Result] = []

    def run(self, lab: Lab) -> None:
        """Run one lab, write its record however it ends, and stop what it started."""
        run, began = uuid.uuid4().hex[:12], time.monotonic()
        output = self.root / f".{run}.ipynb"
        self.console.print(f"\n[bold]{lab.phase}[/]  {lab.title}")
        if size := self._download(lab):
            self.console.print(f"  the first start as processes downloads Kafka: {size}")
        failure: Failure | None = Failure("the run was stopped")
        try:
            failure = self._execute(lab, output, run)
        finally:
            self._stop_owned()
            record = self._close_record(lab, output, run, failure, time.monotonic() - began)
            result = Result(lab, record, failure)
            self.results.append(result)
            self._show(result)

    def _download(self, lab: Lab) -> str:
        """Return what the lab's broker downloads before it can start; empty when nothing."""
        if self.values["RUNTIME"] == "docker" or lab.phase not in phase_names():
            return ""
        return download() if "events" in read_phase(lab.phase)["COMPOSE_PROFILES"] else ""

    def _execute(self, lab: Lab, output: Path, run: str) -> Failure | None:
        values = {name: value for name, value in self.values.items() if name in lab.parameters}
        variables = {
            "LAB_OWNER": str(os.getpid()),
            "LAB_RUN": run,
            "LAB_RUNS": str(self.root),
            "LAB_PROFILE": str(self.values["PROFILE"]),
            "LAB_RUNTIME": str(self.values["RUNTIME"]),
            "LAB_REPETITIONS": str(self.repetitions),
            "LAB_GUESSES": "off",
        }
        with self.console.status("starting the kernel") as status:

            def watch(event: CellEvent) -> None:
                status.update(_line(event))
                if event.seconds is not None:
                    self.console.print(_line(event), no_wrap=True, overflow="ellipsis")

            return Execution(
                lab.path,
                output,
                parameters=values,
                variables=variables,
                cell_seconds=self.cell_seconds,
                watch=watch,
            ).run()

    def _stop_owned(self) -> None:
        """Stop the environments of the lab's kernel, which belong to this command."""
        try:
            for session in stop_owned():
                self.console.print(f"  stopped session {session}, which the lab left running")
        except LabError as problem:
            self.console.print(f"  [bold red]could not stop everything:[/] {problem}")

    def _close_record(
        self, lab: Lab, output: Path, run: str, failure: Failure | None, seconds: float
    ) -> Record:
        """Complete the kernel's record with how the lab ended; make one if the kernel made none."""
        folder = self._record_of(run) or RecordFolder.create(
            root=self.root,
            phase=lab.phase,
            runtime=str(self.values["RUNTIME"]),
            profile=str(self.values["PROFILE"]),
            run=run,
        )
        notebook = None
        if output.exists():
            notebook = lab.path.name
            output.replace(folder.path / notebook)
        folder.write(
            status="failed" if failure else "complete",
            failure=vars(failure) if failure else None,
            notebook=notebook,
            title=lab.title,
            expected=list(lab.experiments),
            seconds=round(seconds, 2),
        )
        return Record(folder.path, folder.facts)

    def _record_of(self, run: str) -> RecordFolder | None:
        for path in sorted(self.root.glob("*/record.json"), reverse=True):
            try:
                record = load_record(path.parent)
            except LabError:
                continue
            if record.facts.get("run") == run:
                return RecordFolder(record.path, record.facts)
        return None

    def _show(self, result: Result) -> None:
        if result.failure:
            where = "" if result.failure.cell is None else f"cell {result.failure.cell + 1}: "
            self.console.print(Text(f"  {where}{result.failure.why}", style="bold red"))
            self.console.print(Text.from_ansi(result.failure.traceback[-3000:]))
        for name, outcome in result.outcomes.items():
            label = outcome.upper() if outcome else "MISSING"
            seconds = result.seconds(name)
            self.console.print(
                Text(f"  {label:<13}", style=STYLES[outcome] if outcome else "bold red"),
                Text(name if seconds is None else f"{name:<24}{seconds:6.1f}s"),
                sep="",
            )
            if outcome not in (None, Outcome.PASS):
                for reason in result.record.verdict(name).reasons:
                    self.console.print(Text(f"               {reason}"))

    def report(self) -> None:
        """Write the report of this run, and print its path."""
        if self.results:
            page = write_report([result.record for result in self.results], self.root)
            self.console.print(f"\nreport: {page}", soft_wrap=True)


def _line(event: CellEvent) -> Text:
    """Return a cell as a line: its number, how long it took, the first line of its code that is no import."""
    lines = [line for line in event.source.splitlines() if line.strip()]
    statements = [line for line in lines if not line.startswith(("#", "import ", "from "))]
    code = (statements or lines)[0]
    took = "      " if event.seconds is None else f"{event.seconds:5.1f}s"
    line = Text(f"  {event.cell + 1:3d} {took}  {code}")
    line.stylize("dim", 0, 13)
    return line


@contextmanager
def _signals() -> Iterator[None]:
    """Turn signals that end the command into an exception, so that it cleans up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: FrameType | None) -> None:
        raise Stopped(number)

    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
