"""A burst: requests sent together, in a known order, with the time of every response.

`labs.load.open_loop` keeps a rate. A burst is for a few requests whose order matters: all of them are sent before the
first response. One thread sends and receives, so that no request overtakes another on this side.

    with Burst(url) as burst:
        burst.send("computation", "/api/cpu-bound?seconds=1", times=3)
        burst.listen(0.05)
        burst.send("bystander", "/api/users")
    burst.samples
"""

from __future__ import annotations

import http.client
import json
import select
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import pandas as pd

from environment.errors import LabError
from labs.machine import busy_seconds

COLUMNS = ["request", "number", "sent", "ended", "latency", "status", "instance", "cpu_seconds"]


@dataclass
class _Sent:
    """A request that has no response yet."""

    connection: http.client.HTTPConnection
    request: str
    number: int
    sent: float
    clock: float


class Burst:
    """Requests to the front door `url`, each on a connection of its own.

    Use it as a block. Leaving it waits for all responses, at most `timeout` seconds, and fills `samples`. A request
    without a response by then has status 0.
    """

    def __init__(self, url: str, *, timeout: float = 120.0) -> None:
        self._host = urlsplit(url).netloc
        self._timeout = timeout
        self._open: list[_Sent] = []
        self._rows: list[dict[str, Any]] = []
        self._samples: pd.DataFrame | None = None
        self._busy = 0.0

    @property
    def samples(self) -> pd.DataFrame:
        """One row per request, in the order they were sent.

        Columns: `request` (its name), `number` (within the burst, from 0), `sent` and `ended` (unix seconds),
        `latency` (s), `status` (0 when there was no response), `instance` and `cpu_seconds` (of the response; empty
        and 0 where it has none), and `others`: the CPU seconds that all other programs of this machine used during the
        burst.
        """
        if self._samples is None:
            raise LabError("the burst has not ended: read `samples` after its block")
        return self._samples

    def send(self, name: str, path: str, *, times: int = 1) -> None:
        """Send that many requests, without waiting for a response."""
        for _ in range(times):
            connection = http.client.HTTPConnection(self._host, timeout=self._timeout)
            number = len(self._open) + len(self._rows)
            sent = _Sent(connection, name, number, time.time(), time.perf_counter())
            try:
                connection.request("GET", path)
            except OSError:
                self._close(sent, status=0, body={})
            else:
                self._open.append(sent)

    def listen(self, seconds: float) -> None:
        """Receive responses for that many seconds, or until every request has one."""
        deadline = time.monotonic() + seconds
        while self._open and (left := deadline - time.monotonic()) > 0:
            waiting = {sent.connection.sock: sent for sent in self._open}
            for socket in select.select(list(waiting), [], [], left)[0]:
                self._receive(waiting[socket])

    def __enter__(self) -> Self:
        self._busy = busy_seconds()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if problem is None:
            self.listen(self._timeout)
        for sent in list(self._open):
            self._open.remove(sent)
            self._close(sent, status=0, body={})
        table = pd.DataFrame(self._rows, columns=COLUMNS).sort_values("number", ignore_index=True)
        others = busy_seconds() - self._busy - float(table["cpu_seconds"].sum())
        self._samples = table.assign(others=max(0.0, others))

    def _receive(self, sent: _Sent) -> None:
        self._open.remove(sent)
        try:
            response = sent.connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            self._close(sent, status=0, body={})
        else:
            body = json.loads(text) if response.status == 200 else {}
            self._close(sent, status=response.status, body=body)

    def _close(self, sent: _Sent, *, status: int, body: Any) -> None:
        fields = body if isinstance(body, dict) else {}
        self._rows.append(
            {
                "request": sent.request,
                "number": sent.number,
                "sent": sent.sent,
                "ended": time.time(),
                "latency": time.perf_counter() - sent.clock,
                "status": status,
                "instance": fields.get("instance", ""),
                "cpu_seconds": float(fields.get("cpuSeconds", 0.0)),
            }
        )
        sent.connection.close()
