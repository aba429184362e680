"""The loop of an autoscaler: watch the gateway's utilisation, choose a number of replicas, scale."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from environment.errors import LabError
from labs.experiments.phase3.autoscaler import LEAST, MOST, TARGET, Interval
from labs.experiments.phase3.gateways import GATEWAY
from labs.load.open_loop import Load, Stream

if TYPE_CHECKING:
    from environment import Environment

Choose = Callable[[Sequence[Interval], int], int]
"""Chooses the replicas of the next interval from all intervals so far and a window, as `autoscaler.choose` does."""

PATH = "/api/blocking"
WORK = 0.05
"""Seconds for which a request occupies its replica's event loop. It sleeps there and needs no core:
a replica is full at 1 / `WORK` requests per second, however many of them share the machine."""

SETTLE = 0.15
"""Seconds after a change for which answers are still those of the load before it."""

PACE = 1.5
"""An interval has room for this many times what a first try at scaling took."""


def run_loop(
    env: Environment, loads: Sequence[float], *, window: int, length: float, choose: Choose
) -> pd.DataFrame:
    """Scale the gateway, from one replica on, through intervals with these loads.

    Args:
        env: The system.
        loads: Of each interval, in what one replica carries at its target.
        window: The stabilisation window, in intervals.
        length: Seconds of an interval.
        choose: The function that chooses the replicas.

    Returns:
        One row per request, with the columns of `autoscaling.measure` but `loop`.

    Raises:
        LabError: `choose` returns no number of replicas that the gateway can have.
    """
    env.scale(GATEWAY, LEAST)
    streams = list(_streams(env[GATEWAY].url, loads, length))
    with Load(*streams, seconds=(len(streams) + 1) * length, seed=env.seed) as load:
        table = _follow(
            env, load, partial(next_replicas, choose, window), length, count=len(streams)
        )
        load.end_in(SETTLE)
    requests = load.samples.assign(since=load.samples["intended"] - load.begun)
    requests["interval"] = requests["stream"].astype(int)
    return requests.join(table, on="interval").assign(length=length, window=window)


def interval_seconds(env: Environment, watch: float) -> float:
    """Return how long an interval has to be: time to scale on this machine, and `watch`.

    The time to scale is that of adding one replica. (To remove one is quicker.)
    """
    env.scale(GATEWAY, LEAST)
    began = time.monotonic()
    env.scale(GATEWAY, LEAST + 1)
    return PACE * (time.monotonic() - began) + SETTLE + watch


def _streams(url: str, loads: Sequence[float], length: float) -> Iterator[Stream]:
    for interval, load in enumerate(loads):
        yield Stream(
            str(interval),
            f"{url}{PATH}?seconds={WORK}",
            rate=load * TARGET / WORK,
            begins=interval * length,
            # The last one goes on until the load is ended, since its watching may end late.
            ends=(interval + 1) * length if interval + 1 < len(loads) else None,
            timeout=30.0,
        )


def next_replicas(choose: Choose, window: int, intervals: Sequence[Interval]) -> int:
    """Return what `choose` chooses. Raises `LabError` if the gateway cannot have it."""
    replicas = choose(intervals, window)
    if type(replicas) is int and LEAST <= replicas <= MOST:
        return replicas
    raise LabError(
        f"After {intervals[-1].replicas} replicas with a utilisation of {intervals[-1].utilisation:.2f} `choose` "
        f"returned {replicas!r}. Return a whole number from {LEAST} to {MOST}."
    )


def _follow(
    env: Environment,
    load: Load,
    chosen_after: Callable[[Sequence[Interval]], int],
    length: float,
    *,
    count: int,
) -> pd.DataFrame:
    """Run the loop: watch, compute, choose, scale. Return one row per interval."""
    rows, intervals, replicas = [], list[Interval](), LEAST
    for interval in range(count):
        began = max(time.time(), load.begun + interval * length) + SETTLE
        due = (interval + 1) * length
        load.until(max(due, began - load.begun + length / 4))
        ended = time.time()
        answered = _answered(env, began, ended)
        utilisation = len(answered) * WORK / ((ended - began) * replicas)
        intervals.append(Interval(replicas, utilisation))
        chosen = chosen_after(tuple(intervals))
        late = ended - load.begun - due
        rows.append((replicas, answered.nunique(), utilisation, ended - began, late, chosen))
        if chosen != replicas and interval + 1 < count:
            env.scale(GATEWAY, chosen)
        replicas = chosen
    columns = ["replicas", "answering", "utilisation", "watched", "late", "chosen"]
    return pd.DataFrame(rows, columns=columns)


def _answered(env: Environment, began: float, ended: float) -> pd.Series[Any]:
    """Return which replica answered each request between these moments (unix seconds)."""
    log = env.access_log()
    return log.loc[(log["path"] == PATH) & log["time"].between(began, ended), "replica"]
