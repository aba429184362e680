"""The child process behind `labs.running.headless`: runs one notebook through papermill, and says how it goes.

Run as ``python -m labs.running.notebook_worker``. It reads one JSON plan (a line) from standard input and
prints one JSON event per line. Standard input stays open for as long as the parent lives: at its
end of file the kernel is killed and the worker vanishes.
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

    def say(self, event: str, **facts: Any) -> None:
        print(json.dumps({"event": event, **facts}), file=self.events, flush=True)

    def run(self) -> None:
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
            said = "\n".join(error.traceback)
            self.fail(f"{error.ename}: {error.evalue}", traceback=said)
        except DeadKernelError:
            self.fail("the kernel died")
        except CellTimeoutError:
            self.fail(f"the cell took longer than its limit of {self.plan['cell_seconds']:g} s")
        else:
            self.ended(notebook)

    def ended(self, notebook: Any) -> None:
        """papermill takes a `sys.exit(0)` for success, and leaves the cells behind it unrun."""
        code = [
            index
            for index, cell in enumerate(notebook.cells)
            if cell.cell_type == "code" and cell.source.strip()
        ]
        if code and self.cell != code[-1]:
            self.fail("the cell ended the notebook: the cells behind it did not run")
        else:
            self.say("done")

    def fail(self, why: str, traceback: str = "") -> None:
        self.say("failed", cell=self.cell, why=why, traceback=traceback)

    def kernel_started(self, **_: Any) -> None:
        """The kernel is our only child by now."""
        for child in psutil.Process().children():
            self.say("kernel", pid=child.pid)

    def cell_began(self, cell: Any, cell_index: int, **_: Any) -> None:
        self.cell = cell_index
        self.say("began", cell=cell_index, source=cell.source)

    def cell_ended(self, cell: Any, cell_index: int, **_: Any) -> None:
        self.say("ended", cell=cell_index)


def die_with_parent() -> None:
    """Standard input ends when the parent does; the kernel must not stay behind."""
    with suppress(OSError):
        # Not through sys.stdin: its lock, held here, would abort the interpreter's shutdown.
        while os.read(0, 1):
            pass
    # The kernel alone: what it started knows by itself how to end, and the environments' supervisors
    # have cleaning up to do.
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            child.send_signal(signal.SIGKILL)
    os._exit(1)


def main() -> None:
    # Whatever else prints must not be taken for an event.
    events = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    plan = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=die_with_parent, daemon=True).start()
    logging.basicConfig(level=logging.WARNING)
    Worker(plan, events).run()


if __name__ == "__main__":
    main()
