"""Computations on a gateway's event loop, and a bystander behind them: how they are sent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from environment.waiting import wait_until
from labs.experiments.bystanders import BYSTANDER, COMPUTATION, CPU_BOUND, GATEWAY, USERS
from labs.load.burst import Burst

if TYPE_CHECKING:
    from environment import Environment

HEAD_START = 0.01
"""Seconds by which the computations are sent before the bystander: nginx passes each on at once."""

RECEIVED_BEFORE = 0.003
"""Seconds by which nginx must have received every computation before the bystander, by its own log; the
replica then has them in its queue, which it takes in order. The log counts in milliseconds."""

LOG_SECONDS = 3.0
"""Longest wait for the log's last lines."""


def measure_delays(
    env: Environment,
    computations: Sequence[int],
    replicas: Sequence[int],
    *,
    seconds: float,
    rounds: int,
) -> pd.DataFrame:
    """Send k computations of `seconds` CPU time together and GET /api/users behind them, for each k on each n.

    Each `rounds` times. Leaves the last number of replicas.

    Returns:
        One row per request. Columns: those of `Burst.samples`, `trial` (number), `replicas`,
        `computations`, `received` (unix seconds, by nginx), `replica` (which it went to),
        `runtime`, `attempt`.
    """
    parts = []
    for n in replicas:
        env.scale(GATEWAY, n)
        warm_up(env)
        sent = [
            trial(env, k, seconds=seconds).assign(trial=number, computations=k)
            for number, k in enumerate([k for _ in range(rounds) for k in computations])
        ]
        parts.append(with_replica(env, pd.concat(sent, ignore_index=True)).assign(replicas=n))
    samples = pd.concat(parts, ignore_index=True)
    return samples.assign(runtime=env.runtime, attempt=1)


def warm_up(env: Environment) -> None:
    """Let each replica of the gateway answer a few times: its first answers open connections."""
    with Burst(env[GATEWAY].url) as burst:
        burst.send("warm-up", USERS, times=4 * len(env[GATEWAY].replicas))


def trial(env: Environment, computations: int, *, seconds: float) -> pd.DataFrame:
    """Send one burst: the computations, and a bystander behind them."""
    with Burst(env[GATEWAY].url) as burst:
        burst.send(COMPUTATION, f"{CPU_BOUND}?seconds={seconds}", times=computations)
        burst.listen(HEAD_START)
        burst.send(BYSTANDER, USERS)
    return burst.samples


def with_replica(env: Environment, samples: pd.DataFrame) -> pd.DataFrame:
    """Add to each request when nginx `received` it, and to which `replica` it passed it on.

    nginx's log holds the same requests in the same order. Where other clients used the front door
    meanwhile, the two cannot be matched, and the columns stay empty.
    """
    sent = {
        path: samples[samples["request"] == name].sort_values("sent")
        for name, path in ((COMPUTATION, CPU_BOUND), (BYSTANDER, USERS))
    }
    since = float(samples["sent"].min()) - RECEIVED_BEFORE

    def received() -> dict[str, pd.DataFrame]:
        log = env.access_log()
        log = log[log["service"] == GATEWAY].assign(received=log["time"] - log["seconds"])
        log = log[log["received"] >= since].sort_values("received")
        return {path: log[log["path"].str.partition("?")[0] == path] for path in sent}

    def all_received() -> bool:
        return all(len(rows) >= len(sent[path]) for path, rows in received().items())

    wait_until(all_received, timeout=LOG_SECONDS)  # nginx answers first, and writes then
    parts = []
    for path, rows in received().items():
        known = len(rows) == len(sent[path])
        when = rows["received"].to_numpy() if known else math.nan
        where = rows["replica"].to_numpy() if known else ""
        parts.append(sent[path].assign(received=when, replica=where))
    return pd.concat(parts, ignore_index=True)
