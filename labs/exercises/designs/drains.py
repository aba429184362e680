"""Lab 4's measurement: how fast the lag of a burst shrinks while orders keep coming."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from labs.exercises.checking import first_found
from labs.exercises.designs.intervals import Interval, of_mean
from labs.exercises.designs.measurements import (
    no_open_loop,
    other_than_samples,
    too_wide,
    without_control,
)
from labs.exercises.designs.reading import conclusion, fields, load, table

STEADY, BURST = "steady", "burst"
"""The streams of orders."""

RATE, NEAR = 4.0, 0.1
"""Orders per second that keep coming, and the part of it by which the measured rate may differ."""

PEAK = 15
"""Messages of lag that a burst leaves at least: fewer are processed before a slope shows."""

QUARTER = 0.25
"""Share of its peak at which a drain ends. Messages under way are not committed yet, so the lag never ends at 0."""

APART = 3.0
"""Seconds without a request of the burst between two bursts."""

FEWEST, ENOUGH = 3, 10
"""Drains, and samples of the lag in each."""

WIDEST = 3.0
"""Messages per second: the widest interval, which still separates the two usual predictions."""


def draining(answer: Any) -> str | None:
    """Return the advice on how many messages per second the lag loses after a burst."""
    given = fields(answer, "lag", "samples", "predicted", "found", "holds")
    lag = table(given["lag"], "lag", values=("time", "lag")).sort_values("time", ignore_index=True)
    samples = load(given["samples"])
    return first_found(
        lambda: without_control(samples, "stream", (STEADY, BURST)),
        lambda: no_open_loop(samples),
        lambda: _of_each_partition(lag),
        lambda: _not_steady(samples, lag),
        lambda: _few_drains(samples, lag),
        lambda: too_wide(_speed(samples, lag), WIDEST),
        lambda: other_than_samples(conclusion(given), _speed(samples, lag), up_to=WIDEST),
    )


def drains(samples: pd.DataFrame, lag: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the samples of the lag in each drain: from the peak after a burst to a quarter of it."""
    bursts = samples[samples["stream"] == BURST]["intended"]
    begins = bursts[bursts.diff().fillna(np.inf) > APART].tolist()
    for begin, end in zip(begins, [*begins[1:], np.inf], strict=True):
        part = lag[lag["time"].between(begin, end)]
        if part.empty or part["lag"].max() < PEAK:
            continue
        part = part.loc[part["lag"].idxmax() :]
        low = part.index[part["lag"] <= QUARTER * part["lag"].max()]
        if len(low):
            yield part.loc[: low[0]]


def _speed(samples: pd.DataFrame, lag: pd.DataFrame) -> Interval:
    return of_mean(
        [
            -float(np.polyfit(part["time"] - part["time"].iloc[0], part["lag"], 1)[0])
            for part in drains(samples, lag)
        ]
    )


def _of_each_partition(lag: pd.DataFrame) -> str | None:
    if lag["time"].is_unique:
        return None
    return "`lag` has several rows for one moment. Sum the partitions of each moment."


def _not_steady(samples: pd.DataFrame, lag: pd.DataFrame) -> str | None:
    steady = samples[samples["stream"] == STEADY]["intended"]
    rate = (len(steady) - 1) / max(float(np.ptp(steady)), 1e-9)
    if abs(rate - RATE) > NEAR * RATE:
        return f"Hold the rate at which orders keep coming: {RATE:g} per second."
    ends = max((part["time"].iloc[-1] for part in drains(samples, lag)), default=0.0)
    if steady.max() < ends - 1 or (samples["ok"] == 0).any():
        return "Orders have to keep coming, and be accepted, until the last burst is processed."
    return None


def _few_drains(samples: pd.DataFrame, lag: pd.DataFrame) -> str | None:
    lengths = [len(part) for part in drains(samples, lag)]
    if len(lengths) < FEWEST:
        return (
            "One drain has no spread. Send several bursts, each large enough to leave a lag, and sample "
            "the lag until three quarters of it are gone."
        )
    if min(lengths) < ENOUGH:
        return "The lag was sampled too seldom while it shrank. How often can it be sampled?"
    return None
