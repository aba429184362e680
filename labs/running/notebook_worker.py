"""The child process of `labs.running.execution`: runs one notebook through papermill, and reports its progress.

Run as `python -m labs.running.notebook_worker`. It reads one JSON plan (a line) from standard input and prints one
JSON event per line. Standard input stays open for as long as the parent lives: at its end the worker kills the kernel
and exits.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import Any

import papermill  # type: ignore[import-untyped]
import psutil
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError  # type: ignore[import-untyped]

START_SECONDS = 60

Event = dict[str, Any]


class Worker:
    """Executes the plan's notebook; every event goes to `events`, a line each."""

    def __init__(self, plan: dict[str, Any], events: Any) -> None:
        self.plan = plan
        self.events = events
        self.cell: int | None = None

    def report(self, event: str, **facts: Any) -> None:
        """Print an event as one line of JSON."""
        print(json.dumps({"event": event, **facts}), file=self.events, flush=True)

    def run(self) -> None:
        """Execute the notebook, and report how it ended."""
        try:
            notebook = papermill.execute_notebook(
                self.plan["notebook"],
                self.plan["output"],
                parameters=self.plan["parameters"],
                cwd=self.plan["folder"],
                progress_bar=False,
                autosave_cell_every=5,
                start_timeout=START_SECONDS,
                execution_timeout=self.plan["cell_seconds"],
                on_notebook_start=self.kernel_started,
                on_cell_execute=self.cell_began,
                on_cell_executed=self.cell_ended,
            )
        except PapermillExecutionError as error:
            self.fail(f"{error.ename}: {error.evalue}", traceback="\n".join(error.traceback))
        except DeadKernelError:
            self.fail("the kernel died")
        except CellTimeoutError:
            self.fail(f"the cell took longer than its limit of {self.plan['cell_seconds']:g} s")
        else:
            self.ended(notebook)

    def ended(self, notebook: Any) -> None:
        """Report success only if the last cell ran: papermill accepts a `sys.exit(0)` in a cell before it."""
        code = [
            index
            for index, cell in enumerate(notebook.cells)
            if cell.cell_type == "code" and cell.source.strip()
        ]
        if code and self.cell != code[-1]:
            self.fail("the cell ended the notebook: the cells after it did not run")
        else:
            self.report("done")

    def fail(self, why: str, traceback: str = "") -> None:
        """Report why the notebook ended early, with the cell that was running."""
        self.report("failed", cell=self.cell, why=why, traceback=traceback)

    def kernel_started(self, **_: Any) -> None:
        """Report the process id of the kernel, which is the only child at this time."""
        for child in psutil.Process().children():
            self.report("kernel", pid=child.pid)

    def cell_began(self, cell: Any, cell_index: int, **_: Any) -> None:
        """Report the start of a cell."""
        self.cell = cell_index
        self.report("began", cell=cell_index, source=cell.source)

    def cell_ended(self, cell: Any, cell_index: int, **_: Any) -> None:
        """Report the end of a cell."""
        self.report("ended", cell=cell_index)


def die_with_parent() -> None:
    """Wait for the end of standard input, which is the parent's, then kill the kernel and exit."""
    with suppress(OSError):
        # Not through sys.stdin: its lock, held here, would abort the interpreter's shutdown.
        while os.read(0, 1):
            pass
    # The kernel alone: the supervisors of its environments notice its end, and have to clean up.
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            child.send_signal(signal.SIGKILL)
    os._exit(1)


def main() -> None:
    """Run the plan on standard input."""
    # Other output must not be read as an event.
    events = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    plan = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=die_with_parent, daemon=True).start()
    logging.basicConfig(level=logging.WARNING)
    Worker(plan, events).run()


if __name__ == "__main__":
    main()
