"""A steady stream of bystanders, and now and then one computation: which of them wait for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.figures import BLUE, FAULT, ORANGE, PREDICTION
from labs.load.burst import Burst
from labs.load.open_loop import Load, Stream
from labs.load.schedule import load_report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from environment import Environment

GATEWAY, USERS, CPU_BOUND = "api-gateway", "/api/users", "/api/cpu-bound"
COMPUTATION, BYSTANDER = "computation", "bystander"

RATE = 40
"""Bystanders per second: a dozen or more during a computation, and too few to load a gateway."""

QUIET = 0.25
"""Seconds of the stream before each computation and after it."""

EDGES = 0.15
"""Seconds at either end of a computation whose head_of_line_blocking are not counted: at its beginning it may
not run yet, and near its end waiting for it cannot be told from being slow."""

WAITED = 0.5
"""Of the rest of the computation: a bystander that took more than this share of it was waiting."""

AT_ONCE = 0.01
"""Seconds: who was answered as soon did not wait, however near the end was."""

ENOUGH = 10
"""Bystanders that an attempt must count for each number of replicas."""

LAG_LIMIT = 0.05
"""Seconds of the load's lag p99: only who waited is judged, and `EDGES` is wider than this."""

COMPUTED_WITHIN = 60.0
"""Seconds, at most, for one computation on a busy machine."""


def stream(env: Environment, path: str, *, seconds: float, rounds: int) -> pd.DataFrame:
    """A steady stream of GET `path` on the gateways there are, and `rounds` computations of `seconds`
    CPU time meanwhile, one at a time.

    One row per bystander. Columns: those of `Load.samples`, `round` (of the computation last begun,
    0 before the first), `began` and `ended` (unix seconds, of that computation), `computed` (its
    status), `others` (cores that everything besides it used meanwhile), all four empty in round 0.
    """
    url = env[GATEWAY].url
    bystanders = Stream("bystander", url + path, rate=RATE, timeout=COMPUTED_WITHIN)
    computations = []
    with Load(bystanders, seconds=rounds * COMPUTED_WITHIN, seed=env.seed) as load:
        for _ in range(rounds):
            load.until(time.time() - load.begun + QUIET)
            with Burst(url, timeout=COMPUTED_WITHIN) as burst:
                burst.send(COMPUTATION, f"{CPU_BOUND}?seconds={seconds}")
            computations.append(burst.samples)
        load.end_in(QUIET)
    done = pd.concat(computations, ignore_index=True)
    during = pd.DataFrame(
        {
            "began": done["sent"],
            "ended": done["ended"],
            "computed": done["status"],
            "others": done["others"] / done["latency"],
        },
    ).set_axis(range(1, rounds + 1))
    number = during["began"].searchsorted(load.samples["intended"])
    return load.samples.assign(round=number).join(during, on="round")


def classify(samples: pd.DataFrame) -> pd.DataFrame:
    """Adds to each bystander whether it `counts` (it was meant to be sent during a computation,
    away from its `EDGES`), and whether it `waited` for the end of it.
    """
    intended, rest = samples["intended"], samples["ended"] - samples["intended"]
    return samples.assign(
        counts=(intended >= samples["began"] + EDGES) & (rest >= EDGES),
        waited=(rest > 0) & (samples["latency"] > (WAITED * rest).clip(lower=AT_ONCE)),
    )


def gather(samples: pd.DataFrame, name: str) -> dict[str, Any]:
    """One case's head_of_line_blocking: the `kept` attempts, whose load did not lag, those of them that were
    `counted`, `load` in words, and a `failure` or a `doubt` that is no matter of who waited.
    """
    attempts = [part for _, part in samples.groupby("attempt")]
    kept = [part for part in attempts if load_report(part, lag_limit=LAG_LIMIT).kept_schedule]
    requests = classify(pd.concat(kept) if kept else samples.iloc[:0])
    counted = requests[requests["counts"]]
    failure = doubt = ""
    if not (samples["ok"].all() and samples["computed"].dropna().eq(200).all()):
        failure = f"{name}: not every request was answered"
    elif attempts and not kept:
        doubt = f"{name}: the load generator could not keep its schedule"
    elif len(counted) < max(1, len(kept)) * ENOUGH:
        doubt = f"{name}: too few head_of_line_blocking during a computation"
    load = [str(load_report(part, lag_limit=LAG_LIMIT)) for part in attempts]
    return {"kept": kept, "counted": counted, "load": load, "failure": failure, "doubt": doubt}


def draw_computation(ax: Axes, requests: pd.DataFrame, share: float) -> None:
    """The head_of_line_blocking around one computation; who waits, waits for the rest of it. Nobody is predicted
    to where the `share` is 0."""
    length = requests["ended"].iloc[0] - requests["began"].iloc[0]
    since = requests["intended"] - requests["began"]
    ax.axvspan(0, length, **FAULT)
    longest = length if share else 0.0
    ax.plot([0, length], [longest, 0], label="predicted, at the longest", **PREDICTION)
    for waited, colour, label in ((True, ORANGE, "waited"), (False, BLUE, "did not")):
        mine = requests["waited"] == waited
        style: dict[str, Any] = {"ms": 4.5, "color": colour, "label": label, "zorder": 3}
        ax.plot(since[mine], requests["latency"][mine], "o", **style)
    ax.set_ylim(-0.06 * length, 1.15 * length)
