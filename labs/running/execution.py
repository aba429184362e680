"""Executes one notebook in a child process, and watches that process and its kernel.

papermill alone can hang, or end with success, when its kernel dies. Here the parent has the process id of the kernel,
checks it twice a second, and ends everything that outlives its limit.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from labs.running.jupyter import own_settings

TICK_SECONDS = 0.5

GRACE_SECONDS = 5.0
"""How long the child may take to report a problem that the parent has noticed."""

START_SECONDS = 90.0
"""Limit from the start of the child to its first cell; the kernel's own limit is 60 s."""


@dataclass(frozen=True)
class Failure:
    """Why a notebook did not run through. `cell` counts from 0; it is None when no cell was at fault."""

    why: str
    cell: int | None = None
    traceback: str = ""


@dataclass(frozen=True)
class CellEvent:
    """The start of a code cell, or its end (after `seconds`)."""

    cell: int
    source: str
    seconds: float | None = None


class Execution:
    """The execution of one notebook; `run` works once."""

    def __init__(
        self,
        notebook: Path,
        output: Path,
        *,
        parameters: Mapping[str, Any],
        variables: Mapping[str, str],
        cell_seconds: float,
        watch: Callable[[CellEvent], None],
    ) -> None:
        self.plan = {
            "notebook": str(notebook),
            "output": str(output),
            "parameters": dict(parameters),
            "folder": str(notebook.parent),
            "cell_seconds": cell_seconds,
        }
        self.variables = dict(variables)
        self.cell_seconds = cell_seconds
        self.watch = watch
        self.kernel: psutil.Process | None = None
        self.cell: CellEvent | None = None
        self.cell_began = time.monotonic()
        self.noticed: tuple[float, str] | None = None

    def run(self) -> Failure | None:
        """Run the notebook to its end; return None when every cell ran. Leaves no process behind."""
        with (
            tempfile.TemporaryDirectory(prefix="lab-jupyter-") as folder,
            tempfile.TemporaryFile() as log,
            self._child(log, Path(folder)) as child,
        ):
            for event in self._events(child):
                if event is None:
                    why = self._overdue()
                    if why:
                        return Failure(why, self._cell_number)
                elif event["event"] == "done":
                    return None
                elif event["event"] == "failed":
                    return Failure(event["why"], event["cell"], event["traceback"])
                else:
                    self._note(event)
            return _unexplained(child, log, self._cell_number)

    @property
    def _cell_number(self) -> int | None:
        return self.cell.cell if self.cell else None

    @contextmanager
    def _child(self, log: IO[bytes], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
        child = subprocess.Popen(
            # -P: the labs' folder must not shadow what the child imports.
            [sys.executable, "-P", "-m", "labs.running.notebook_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=own_settings(folder, os.environ) | self.variables,
            # Ctrl-C reaches the command alone, which then ends the child and its kernel.
            process_group=0,
        )
        assert child.stdin
        assert child.stdout
        try:
            with suppress(BrokenPipeError):
                child.stdin.write(json.dumps(self.plan).encode() + b"\n")
                child.stdin.flush()
            yield child
        finally:
            child.kill()
            child.wait()
            child.stdin.close()
            self._end_kernel()

    def _events(self, child: subprocess.Popen[bytes]) -> Iterator[dict[str, Any] | None]:
        """Yield events as they come, None after a tick without one, until the child closes its output."""
        lines: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=_pump, args=(child.stdout, lines), daemon=True).start()
        while True:
            try:
                line = lines.get(timeout=TICK_SECONDS)
            except queue.Empty:
                yield None
                continue
            if not line:
                return
            yield json.loads(line)

    def _note(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "kernel":
            with suppress(psutil.NoSuchProcess):
                self.kernel = psutil.Process(event["pid"])
        elif event["event"] == "began":
            self.cell, self.cell_began = CellEvent(event["cell"], event["source"]), time.monotonic()
            self.watch(self.cell)
        elif event["event"] == "ended" and self.cell:
            seconds = time.monotonic() - self.cell_began
            self.watch(CellEvent(self.cell.cell, self.cell.source, seconds))

    def _overdue(self) -> str | None:
        """Return what has gone wrong, once the child has had its time to report it."""
        problem = self._problem()
        if problem is None:
            self.noticed = None
        elif self.noticed is None:
            self.noticed = (time.monotonic(), problem)
        elif time.monotonic() - self.noticed[0] > GRACE_SECONDS:
            return self.noticed[1]  # a later problem, such as a dead kernel, follows from this one
        return None

    def _problem(self) -> str | None:
        if self.kernel and not _is_alive(self.kernel):
            return "the kernel died"
        elapsed = time.monotonic() - self.cell_began
        if self.cell is None:
            return "the kernel did not start" if elapsed > START_SECONDS else None
        if elapsed > self.cell_seconds:
            return f"the cell took longer than its limit of {self.cell_seconds:g} s"
        return None

    def _end_kernel(self) -> None:
        """Kill the kernel's process group, of which it is the leader (jupyter_client starts it so)."""
        if self.kernel and _is_alive(self.kernel):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.kernel.pid, signal.SIGKILL)


def _unexplained(child: subprocess.Popen[bytes], log: IO[bytes], cell: int | None) -> Failure:
    """Return how the child ended that reported neither success nor failure, and what it printed last."""
    try:
        code = child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        how = "closed its output and did not exit"
    else:
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
    log.seek(0)
    output = log.read()[-3000:].decode(errors="replace").strip()
    return Failure(
        f"the process that runs the notebook {how} before the notebook's end. Run the lab again; if "
        "it ends so once more, look for a lack of memory (`lab doctor`, `dmesg`), and open the lab "
        "with `lab open` to run it cell by cell",
        cell,
        traceback=f"Its last output:\n{output}" if output else "It printed nothing.",
    )


def _pump(stream: IO[bytes] | None, lines: queue.Queue[bytes]) -> None:
    """Put every line of the stream into the queue, and an empty one at its end."""
    assert stream
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(b"")


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
