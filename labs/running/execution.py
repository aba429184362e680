"""Executes one notebook in a child process, and keeps watch over it and its kernel.

papermill alone can hang, or end with success, when its kernel dies. Here the parent knows the
kernel's process, asks for it twice a second, and ends everything that outlives its limit.
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

TICK_SECONDS = 0.5

GRACE_SECONDS = 5.0
"""How long the child may take to report by itself what the parent has noticed."""

START_SECONDS = 90.0
"""From the start of the child to its first cell: the kernel's own limit is 60 s."""


@dataclass(frozen=True)
class Failure:
    """Why a notebook did not run through. `cell` counts from 0; None when it was none of them."""

    why: str
    cell: int | None = None
    traceback: str = ""


@dataclass(frozen=True)
class CellEvent:
    """A code cell began, or ended (after `seconds`)."""

    cell: int
    source: str
    seconds: float | None = None


class Execution:
    """One notebook on its way: `run` it once."""

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
        self.doomed: tuple[float, str] | None = None

    def run(self) -> Failure | None:
        """Run the notebook to its end; None when every cell ran. Leaves no process behind."""
        with tempfile.TemporaryFile() as log, self._child(log) as child:
            for event in self._events(child):
                if event is None:
                    why = self._overdue()
                    if why:
                        return Failure(why, self.cell.cell if self.cell else None)
                elif event["event"] == "done":
                    return None
                elif event["event"] == "failed":
                    return Failure(event["why"], event["cell"], event["traceback"])
                else:
                    self._note(event)
            log.seek(0)
            said = log.read()[-3000:].decode(errors="replace")
            return Failure("papermill ended without a word", traceback=said)

    @contextmanager
    def _child(self, log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
        child = subprocess.Popen(
            # -P: the labs' folder must not shadow what the child imports.
            [sys.executable, "-P", "-m", "labs.running.notebook_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, **self.variables},
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
        """Events as they come, None when none came for a tick, until the child closes its output."""
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
        """What has gone wrong, once the child has had its time to say so itself."""
        problem = self._problem()
        if problem is None:
            self.doomed = None
        elif self.doomed is None:
            self.doomed = (time.monotonic(), problem)
        elif time.monotonic() - self.doomed[0] > GRACE_SECONDS:
            return self.doomed[1]  # what came after it, such as a dead kernel, only followed
        return None

    def _problem(self) -> str | None:
        if self.kernel and not _lives(self.kernel):
            return "the kernel died"
        elapsed = time.monotonic() - self.cell_began
        if self.cell is None:
            return "the kernel did not start" if elapsed > START_SECONDS else None
        if elapsed > self.cell_seconds:
            return f"the cell took longer than its limit of {self.cell_seconds:g} s"
        return None

    def _end_kernel(self) -> None:
        """The kernel leads a process group of its own (jupyter_client starts it so)."""
        if self.kernel and _lives(self.kernel):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.kernel.pid, signal.SIGKILL)


def _pump(stream: IO[bytes] | None, lines: queue.Queue[bytes]) -> None:
    """Every line of the stream, and an empty one at its end."""
    assert stream
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(b"")


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
