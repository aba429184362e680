"""What analytics-service shows of its windows, while orders are placed at a steady rate."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pandas as pd

from environment.waiting import wait_until
from labs.client import new_client
from labs.experiments.phase4.orders import get
from labs.experiments.phase5.names import ANALYTICS, ORDERS
from labs.experiments.phase5.orders import ITEMS, cents
from labs.experiments.phase5.stream_log import COLUMNS, count_windows
from labs.experiments.phase5.window_board import WindowBoard

if TYPE_CHECKING:
    from environment import Environment

RATE = 12.0
"""Orders per second."""

EVERY_SECONDS = 0.25
"""Between two looks at the windows."""

RESPONSE_SECONDS = 10.0


def let_pass(seconds: float) -> None:
    """Return after so many seconds of the load."""
    passed = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= passed, timeout=seconds + 1)


@contextmanager
def placing(env: Environment) -> Iterator[None]:
    """Place orders at a steady rate, from a thread."""
    url, enough = f"{env[ORDERS].url}/orders", Event()

    def place() -> None:
        began = time.monotonic()
        with new_client(RESPONSE_SECONDS) as client:
            number = 0
            while not enough.wait(max(0.0, began + number / RATE - time.monotonic())):
                with suppress(httpx.HTTPError):  # an order that is not placed is in no log
                    client.post(url, json={"userId": "streaming", "items": ITEMS})
                number += 1

    yield from _in_thread(place, enough)


@contextmanager
def looking(env: Environment, looks: list[dict[str, Any]], size: int) -> Iterator[None]:
    """Look at the watermark again and again, from a thread; a notebook shows the windows meanwhile."""
    enough, board = Event(), WindowBoard()

    def look() -> None:
        while not enough.wait(EVERY_SECONDS):
            with suppress(httpx.HTTPError):
                content = _read(env, size)
                looks.append({"time": time.time(), "watermark": _mark(content)})
                board.show(content)

    yield from _in_thread(look, enough)


def _in_thread(work: Callable[[], None], enough: Event) -> Iterator[None]:
    # What is shown belongs to the cell that runs now.
    context = contextvars.copy_context()
    thread = Thread(target=context.run, args=(work,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def _read(env: Environment, size: int) -> dict[str, Any]:
    content: dict[str, Any] = get(env, ANALYTICS, f"/windows?size={size}&step={size}")
    return content


def read_mark(env: Environment, size: int) -> float:
    """Return the watermark; minus infinity while there is none."""
    return _mark(_read(env, size))


def _mark(content: dict[str, Any]) -> float:
    mark = content["watermark"]
    return pd.Timestamp(mark).timestamp() if mark else -np.inf


def read_windows(
    env: Environment, log: pd.DataFrame, *, size: int, late_after: float
) -> pd.DataFrame:
    """Return every window of `size` seconds, as analytics-service shows it and as the log has it.

    Columns: `start` (unix seconds), `closed`, `late`, and for each of `COLUMNS` the sums `now_`, `first_` (empty while
    the window is open) and `log_`; `delayed`, the events that reached Kafka more than `late_after` seconds after they
    happened.
    """
    rows = []
    for window in _read(env, size)["windows"]:
        sums = {f"now_{name}": _sum(window, name) for name in COLUMNS}
        first = {f"first_{name}": _sum(window["first"], name) for name in COLUMNS}
        start = pd.Timestamp(window["start"]).timestamp()
        rows.append(
            {"start": start, "closed": float(window["closed"]), "late": float(window["late"])}
            | sums
            | first
        )
    batch = count_windows(log, size=size).rename(columns={name: f"log_{name}" for name in COLUMNS})
    delayed = log[log["published"] - log["at"] > late_after]
    counts = (delayed["at"] // size * size).value_counts()
    both = pd.DataFrame(rows).merge(batch, on="start", how="outer").sort_values("start")
    absent = {f"{kind}_{name}": 0.0 for kind in ("now", "log") for name in COLUMNS}
    both = both.fillna({"closed": 0.0, "late": 0.0, **absent})
    return both.assign(delayed=[float(counts.get(start, 0)) for start in both["start"]])


def _sum(sums: dict[str, Any] | None, name: str) -> float:
    if sums is None:
        return np.nan
    return float(cents(sums[name]) if name == "revenue" else sums[name])
