"""Open-loop load from a child process: requests are sent on a schedule, however fast the responses come.

A closed loop (send, wait, send) slows down with the server that it measures and hides its worst seconds (coordinated
omission). Here every request has an intended start, fixed before the run, and its latency counts from that start. The
child reports its own lag, so that a late generator is not mistaken for a slow server.

    with Load(Stream("users", f"{url}/users", rate=20), seconds=10) as load:
        load.until(3)
        with env["payment-service"].killed():
            load.until(5)
    load.samples
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import IO, Any, Literal, Self

import pandas as pd

from environment.errors import LabError
from environment.waiting import wait_until
from labs.load.schedule import LoadReport, load_report

COLUMNS = ["stream", "intended", "lag", "latency", "status", "error"]

START_SECONDS = 20.0
GRACE_SECONDS = 10.0


class LoadError(LabError):
    """Raised when the load generator crashes or does not end in time; the message has its last output."""


@dataclass(frozen=True)
class Stream:
    """One named stream of requests.

    `rate` is per second; `timeout` is in seconds, per request. `body` is sent as JSON. In each string of `body` and
    `headers`, `{key}` is replaced by a text unique to the request, and `{number}` by its number within the stream, from
    0. Requests are due between `begins` and `ends`, in seconds of the schedule; by default in all of it.
    """

    name: str
    url: str
    rate: float
    method: str = "GET"
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    arrivals: Literal["even", "poisson"] = "even"
    timeout: float = 10.0
    begins: float = 0.0
    ends: float | None = None

    def __post_init__(self) -> None:
        if self.rate <= 0:
            raise ValueError(f"stream {self.name!r}: rate must be above 0 per second")
        if self.arrivals not in ("even", "poisson"):
            raise ValueError(f"stream {self.name!r}: arrivals are 'even' or 'poisson'")


class Load:
    """A schedule of requests that runs while the caller does something else.

    Use it as a block. Entering it returns when the schedule begins; leaving it waits for the end of the schedule and
    fills `samples`. Leaving it by an exception, or an interrupt, ends the load at once.

    Raises:
        LoadError: The generator crashed, or did not end within its schedule plus the longest request timeout plus ten
            seconds.
    """

    def __init__(self, *streams: Stream, seconds: float, seed: int = 0) -> None:
        if not streams:
            raise ValueError("a load needs at least one stream")
        self.streams = streams
        self.seconds = seconds
        self.seed = seed
        self.begun = 0.0
        """Unix seconds at which the schedule begins."""
        self._samples: pd.DataFrame | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None

    @property
    def samples(self) -> pd.DataFrame:
        """One row per request, in the order of their intended starts.

        Columns: `stream`; `intended` (unix seconds); `lag` (seconds from the intended to the actual start); `latency`
        (seconds from the intended start to the end of the response); `status` (0 when there was no response); `error`
        (a text, empty when there was no error); `ok` (whether the status is below 400).
        """
        if self._samples is None:
            raise LoadError("the load has not ended: read `samples` after its block")
        return self._samples

    @property
    def load_report(self) -> LoadReport:
        """The generator's report: whether it kept its schedule."""
        return load_report(self.samples)

    @property
    def pid(self) -> int | None:
        """The process id of the generator, while it runs."""
        return self._child.pid if self._child else None

    def until(self, second: float) -> None:
        """Return at that second of the schedule."""
        child = self._running()
        moment = self.begun + second
        wait_until(
            lambda: time.time() >= moment,
            timeout=second + START_SECONDS,
            every=0.01,
            give_up=lambda: child.poll() is not None,
        )
        if time.time() < moment:
            raise self._failure("ended before its schedule did")

    def end_in(self, seconds: float) -> None:
        """End the schedule that many seconds from now, if it does not end earlier."""
        self.seconds = min(self.seconds, time.time() - self.begun + seconds)
        self._write(f"{self.seconds}\n".encode())

    def __enter__(self) -> Self:
        self._stderr = tempfile.TemporaryFile()
        self._child = subprocess.Popen(
            # -P: a notebook's folder must not shadow what the child imports.
            [sys.executable, "-P", "-m", "labs.load.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            bufsize=0,  # `select` does not see what a buffered reader holds
            # Ctrl-C reaches the caller alone, which then ends the child.
            process_group=0,
        )
        try:
            self._send_plan()
            line, _ = self._read(until_newline=True, seconds=START_SECONDS)
            self.begun = json.loads(line)["begun"]
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if problem is None:
                self._samples = self._collect()
        finally:
            self._end()

    def _send_plan(self) -> None:
        plan = {
            "streams": [asdict(stream) for stream in self.streams],
            "seconds": self.seconds,
            "seed": self.seed,
            "key": uuid.uuid4().hex[:12],
        }
        self._write(json.dumps(plan).encode() + b"\n")

    def _write(self, line: bytes) -> None:
        """Write a line to the child. Its input stays open: its end would mean that the caller has ended."""
        stdin = self._running().stdin
        assert stdin is not None
        try:
            stdin.write(line)
        except BrokenPipeError:
            raise self._failure("crashed") from None

    def _collect(self) -> pd.DataFrame:
        longest = max(stream.timeout for stream in self.streams)
        left = self.begun + self.seconds + longest + GRACE_SECONDS - time.time()
        rows, closed = self._read(until_newline=False, seconds=left)
        if not closed or self._running().wait(GRACE_SECONDS) != 0:
            raise self._failure("crashed")
        table = pd.DataFrame([json.loads(row) for row in rows.splitlines()], columns=COLUMNS)
        table["ok"] = table["status"].between(200, 399)
        return table.sort_values("intended", ignore_index=True, kind="stable")

    def _read(self, *, until_newline: bool, seconds: float) -> tuple[bytes, bool]:
        """Return what the child prints until a newline or its end of file; raise after `seconds`."""
        stdout = self._running().stdout
        assert stdout is not None
        deadline = time.monotonic() + seconds
        text = b""
        while not (until_newline and text.endswith(b"\n")):
            left = max(0.0, deadline - time.monotonic())
            if not select.select([stdout], [], [], left)[0]:
                raise self._failure(f"printed nothing within {seconds:.0f} s")
            part = stdout.read(1 if until_newline else 1 << 20)
            if not part:
                if until_newline:
                    raise self._failure("crashed before it began")
                return text, True
            text += part
        return text, False

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            raise LoadError("the load does not run: use it as a block, `with Load(...) as load:`")
        return self._child

    def _failure(self, what: str) -> LoadError:
        child = self._running()
        code = child.poll()
        state = "still running" if code is None else f"exit status {code}"
        output = ""
        if self._stderr is not None:
            self._stderr.seek(0)
            output = self._stderr.read()[-2000:].decode(errors="replace").strip()
        printed = f"Its output:\n{output}" if output else "It printed nothing."
        return LoadError(f"the load generator {what} ({state}). {printed}")

    def _end(self) -> None:
        """End the process and close its pipes."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            for pipe in (self._child.stdin, self._child.stdout):
                if pipe is not None:
                    pipe.close()
            self._child = None
        if self._stderr is not None:
            self._stderr.close()
            self._stderr = None


def run_load(*streams: Stream, seconds: float, seed: int = 0) -> pd.DataFrame:
    """Run a load to its end and return its samples (see `Load.samples`)."""
    with Load(*streams, seconds=seconds, seed=seed) as load:
        pass
    return load.samples
