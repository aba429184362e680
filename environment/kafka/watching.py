"""Lag while a cell runs: sampled beside it, shown as it changes, and kept as a table."""

import contextvars
import threading
import time
from collections.abc import Iterable
from typing import Any, Self

import pandas as pd

from environment.client.progress import NotebookOutput, in_notebook
from environment.client.status import template
from environment.errors import LabError
from environment.kafka.broker import Broker, table
from environment.kafka.groups import LAG, find_groups, lag_rows

SAMPLES = {"time": "float64", "seconds": "float64", **LAG}
SHOW_SECONDS = 0.5

WIDTH, HEIGHT = 260, 36
"""Of a curve in the notebook, in pixels."""


class LagWatch:
    """A block in which lag is sampled. `samples` holds what has been seen so far, also after the block.

    In a notebook its curves appear below the cell and move while it runs.
    """

    def __init__(self, broker: Broker, group: str | None, every: float) -> None:
        if not isinstance(every, int | float) or not 0.05 <= every <= 60:
            raise LabError(f"Lag is sampled every 0.05 to 60 seconds, not {every}.")
        if group is not None:
            find_groups(
                broker, group
            )  # a group that does not exist is an error before the block begins
        self._broker, self._group, self._every = broker, group, every
        self._rows: list[dict[str, Any]] = []
        self._began = 0.0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._output: NotebookOutput | None = None
        self.missed = 0

    def __enter__(self) -> Self:
        if self._thread:
            raise LabError("This watch has been used. Ask env.kafka.watch_lag for another one.")
        self._began = time.time()
        self._output = NotebookOutput() if in_notebook() else None
        # What is shown belongs to the cell that runs now.
        work = contextvars.copy_context()
        self._thread = threading.Thread(target=work.run, args=(self._watch,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._thread
        self._over.set()
        self._thread.join(2 * self._broker.seconds)
        self._show()

    @property
    def samples(self) -> pd.DataFrame:
        """Columns: time (Unix seconds), seconds (since the block began), and those of `env.kafka.lag`.

        One row per sample, group, topic and partition. A broker that does not answer leaves a gap; `missed` counts the
        samples that are lost to it.
        """
        return table(list(self._rows), SAMPLES)

    def _watch(self) -> None:
        shown = 0.0
        while True:
            self._sample()
            if time.monotonic() - shown >= SHOW_SECONDS:
                self._show()
                shown = time.monotonic()
            if self._over.wait(self._every):
                self._sample()  # as it is at the end of the block
                return

    def _sample(self) -> None:
        try:
            groups = find_groups(self._broker, self._group)
            rows = lag_rows(self._broker, groups)
        except LabError:
            self.missed += 1
            return
        now = time.time()
        self._rows += [{"time": now, "seconds": now - self._began, **row} for row in rows]

    def _show(self) -> None:
        if self._output:
            self._output.show(self._repr_html_())

    def __repr__(self) -> str:
        watched = self._group or "every group"
        return f"<lag of {watched}: {len({row['time'] for row in self._rows})} samples>"

    def _repr_html_(self) -> str:
        return str(
            template("lag.html").render(
                curves=_curves(self._rows), width=WIDTH, height=HEIGHT, missed=self.missed
            )
        )


def _curves(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per group and topic the sum over its partitions, as the points of an SVG line."""
    sums: dict[tuple[str, str], dict[float, int]] = {}
    for row in list(rows):
        at = sums.setdefault((row["group"], row["topic"]), {})
        at[row["seconds"]] = at.get(row["seconds"], 0) + row["lag"]
    return [
        {"group": group, "topic": topic, "now": list(at.values())[-1], **_line(at)}
        for (group, topic), at in sorted(sums.items())
    ]


def _line(at: dict[float, int]) -> dict[str, Any]:
    last, most = max(max(at), 1e-9), max(*at.values(), 1)
    points = (f"{WIDTH * t / last:.1f},{HEIGHT * (1 - n / most):.1f}" for t, n in at.items())
    return {"points": " ".join(points), "most": max(at.values()), "seconds": last}
