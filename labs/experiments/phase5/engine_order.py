"""One order that an engine's workflow buys: the programs that take part, and the faults between them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx

from environment.errors import LabError
from environment.waiting import wait_until

CHARGE, CANCEL = "payment OrderCreated", "payment OrderCancelled"
"""The step that a fault holds, and its compensation."""

RESERVE = "inventory PaymentCompleted"
"""The step after it."""

WORKER = "labs.experiments.phase5.engine_worker"

LONGEST_SECONDS = 40.0
"""Longest wait for a request, for the end of a workflow, and for the start of a program."""

NEVER = 0.0
"""Instead of the seconds after which a step is given up."""

NAME = "order"
"""The order's id; every order has participants of its own."""


class Program:
    """A module that runs as a process of its own, and prints one line. It does not outlive its block."""

    def __init__(self, folder: Path, module: str, *arguments: str) -> None:
        self._command = [sys.executable, "-P", "-m", module, *arguments]
        self._printed, self._log = folder / f"{module}.out", folder / f"{module}.log"

    def __enter__(self) -> Self:
        # Without the variables that would connect the engine to a service of its makers.
        variables = {name: value for name, value in os.environ.items() if "DBOS" not in name}
        with self._printed.open("w") as out, self._log.open("w") as log:
            self._child = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=out, stderr=log, env=variables
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        assert self._child.stdin is not None
        self._child.stdin.close()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._child.pid

    def kill(self) -> bool:
        """End the process with SIGKILL; return whether it was that which ended it."""
        self._child.kill()
        return self._child.wait() == -signal.SIGKILL

    def ended(self) -> bool:
        """Return whether the process has ended by itself."""
        return self._child.poll() is not None

    def line(self) -> str:
        """Return the line that the program prints; nothing when it prints none in time.

        Raises:
            LabError: The program has ended without it; the message is its last.
        """
        complete = wait_until(
            lambda: self._printed.read_text().endswith("\n"),
            timeout=LONGEST_SECONDS,
            give_up=self.ended,
        )
        if not complete and self.ended():
            last = "\n".join(self._log.read_text().splitlines()[-5:])
            raise LabError(f"{' '.join(self._command[2:4])} has ended: {last}")
        return self._printed.read_text().strip()


class Seen(NamedTuple):
    """What the participants have seen of the order.

    `begun` are the requests for the charge, `done` those on which payment has acted, `cancelled` those for its
    compensation.
    """

    begun: int
    done: int
    cancelled: int
    charges: int
    refunds: int
    payment: str
    inventory: str


class EngineOrder:
    """One order: its participants, and the workers that run its workflow."""

    def __init__(self, folder: Path, address: str) -> None:
        self._folder, self.address = folder, address

    def bought(self) -> tuple[bool, str]:
        """Let the workflow run; return that it was undisturbed, and how it ended."""
        with self._worker() as worker:
            return True, worker.line()

    def given_up(self, seconds: float) -> tuple[bool, str]:
        """Hold the charge until the workflow has given it up and has ended, then let it arrive.

        Returns:
            Whether it happened in this order, and how the workflow ended.
        """
        with self._held(CHARGE), self._worker(seconds) as worker:
            status, seen = worker.line(), self.seen()
        return (seen.begun, seen.done, seen.cancelled) == (1, 0, 1), status

    def killed(self) -> tuple[bool, str]:
        """Kill the worker while the charge is under way, let another one go on, then let the charges arrive.

        Returns:
            Whether it happened in this order, and how the workflow ended.
        """
        with self._held(CHARGE), self._held(RESERVE):
            with self._worker() as worker:
                once = self._wait(lambda: self.seen().begun == 1, worker) and worker.kill()
            with self._worker() as worker:
                twice = self._wait(lambda: self.seen().begun == 2, worker)
                arranged = once and twice and self.seen().done == 0
                self._hold(CHARGE, on=False)
                self.rest()  # so that the workflow does not overtake the first worker's request
                self._hold(RESERVE, on=False)
                return arranged, worker.line()

    def rest(self) -> Seen:
        """Return what the participants have seen when no request for the charge is under way any more."""
        wait_until(lambda: self.seen().begun == self.seen().done, timeout=LONGEST_SECONDS)
        return self.seen()

    def seen(self) -> Seen:
        """Return what the participants have seen so far."""
        shown: dict[str, Any] = self._request("GET", NAME)
        events, states = shown["events"], shown["states"]
        return Seen(
            begun=events.get(f"{CHARGE} begun", 0),
            done=events.get(f"{CHARGE} done", 0),
            cancelled=events.get(f"{CANCEL} done", 0),
            charges=shown["charges"],
            refunds=shown["refunds"],
            payment=states["payment"],
            inventory=states["inventory"],
        )

    def _worker(self, seconds: float = NEVER) -> Program:
        """Return a worker. It begins the workflow, or goes on with what the file has of it."""
        file = str(self._folder / "engine.sqlite")
        return Program(self._folder, WORKER, self.address, file, NAME, str(seconds))

    @contextmanager
    def _held(self, step: str) -> Iterator[None]:
        self._hold(step, on=True)
        try:
            yield
        finally:
            self._hold(step, on=False)

    def _hold(self, step: str, *, on: bool) -> None:
        self._request("PUT" if on else "DELETE", f"hold/{step.split()[1]}")

    def _wait(self, evidence: Callable[[], bool], worker: Program) -> bool:
        return bool(wait_until(evidence, timeout=LONGEST_SECONDS, give_up=worker.ended))

    def _request(self, method: str, path: str) -> Any:
        with httpx.Client(trust_env=False) as client:
            return client.request(method, f"http://{self.address}/{path}").raise_for_status().json()


@contextmanager
def order_at(participants: Sequence[str], folder: Path) -> Iterator[EngineOrder]:
    """Start the participants by their module and its arguments, and give an order of theirs."""
    with Program(folder, *participants) as serving:
        yield EngineOrder(folder, f"127.0.0.1:{serving.line()}")
