"""A steady stream of bystanders, and now and then one computation: which of them wait for it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.figures import BLUE, FAULT, ORANGE, PREDICTION, mark_set_aside
from labs.judging import (
    Counted,
    Finding,
    Schedule,
    doubt,
    failure,
    on_schedule,
    set_aside,
)
from labs.load.burst import Burst
from labs.load.open_loop import Load, Stream

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
"""Seconds at either end of a computation whose bystanders are not counted: at its beginning it may
not run yet, and near its end waiting for it cannot be distinguished from being slow."""

NEAR_AN_END = f"sent within {EDGES:g} s of a computation's beginning or end"
"""Which of the bystanders are set aside. The rule rests on when they were to be sent, and not on how long they took."""

WAITED = 0.5
"""Of the rest of the computation: a bystander that took more than this share of it was waiting."""

AT_ONCE = 0.01
"""Seconds: a bystander that was answered as soon did not wait, however near the end was."""

ENOUGH = 10
"""Bystanders that an attempt must count for each number of replicas."""

LAG_LIMIT = 0.05
"""Seconds of the load's lag p99: only which of them waited is judged, and `EDGES` is wider than this."""

COMPUTED_WITHIN = 60.0
"""Seconds, at most, for one computation on a busy machine."""


def stream(env: Environment, path: str, *, seconds: float, rounds: int) -> pd.DataFrame:
    """Send a steady stream of GET `path` to the gateways there are, and meanwhile computations, one at a time.

    `rounds` of them, of `seconds` CPU time each.

    Returns:
        One row per bystander. Columns: those of `Load.samples`, `round` (of the computation last
        begun, 0 before the first), `began` and `ended` (unix seconds, of that computation),
        `computed` (its status), `others` (cores that everything besides it used meanwhile), all
        four empty in round 0.
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
    """Add to each bystander whether it counts, and whether it waited.

    Columns: whether it was to be sent `during` a computation, whether it `counts`, being away from
    that one's `EDGES`, and whether it `waited` for the end of it.
    """
    intended, rest = samples["intended"], samples["ended"] - samples["intended"]
    return samples.assign(
        during=(intended >= samples["began"]) & (rest >= 0),
        counts=(intended >= samples["began"] + EDGES) & (rest >= EDGES),
        waited=(rest > 0) & (samples["latency"] > (WAITED * rest).clip(lower=AT_ONCE)),
    )


@dataclass(frozen=True)
class Watched:
    """The bystanders of one case: those that count, and the finding before asking which of them waited."""

    schedule: Schedule
    counted: Counted
    finding: Finding | None

    @property
    def details(self) -> dict[str, Any]:
        """How many count and how many of those waited, for the verdict's details."""
        waited = self.counted.samples["waited"]
        numbers = {"of": self.counted.of, "waited": int(waited.sum()), "measured": self.share}
        return self.schedule.details | numbers | {"counted": str(self.counted)}

    @property
    def share(self) -> float | None:
        """The share that waited, from 0 to 1; None when none counts."""
        waited = self.counted.samples["waited"]
        return float(waited.mean()) if len(waited) else None


def watch(samples: pd.DataFrame) -> Watched:
    """Return one case's bystanders of all attempts whose load generator kept its schedule.

    `finding` is a failure when a request was not answered, a doubt when too few bystanders count.
    """
    schedule = on_schedule(samples, lag_limit=LAG_LIMIT)
    requests = classify(schedule.samples)
    during = requests[requests["during"]]
    counted = set_aside(during, ~during["counts"], NEAR_AN_END)
    finding = schedule.finding
    if not (samples["ok"].all() and samples["computed"].dropna().eq(200).all()):
        finding = failure("not every request was answered")
    elif not finding and len(counted.samples) < max(1, len(schedule.kept)) * ENOUGH:
        finding = doubt("too few bystanders during a computation")
    return Watched(schedule, counted, finding or counted.finding)


def draw_computation(ax: Axes, requests: pd.DataFrame, share: float) -> None:
    """Draw the classified bystanders around one computation, hollow where they do not count.

    What waits, waits for the rest of it; none is predicted to where the `share` is 0.
    """
    length = requests["ended"].iloc[0] - requests["began"].iloc[0]
    since = requests["intended"] - requests["began"]
    ax.axvspan(0, length, **FAULT)
    longest = length if share else 0.0
    ax.plot([0, length], [longest, 0], label="predicted, at the longest", **PREDICTION)
    for waited, colour, label in ((True, ORANGE, "waited"), (False, BLUE, "did not")):
        part = requests["counts"] & (requests["waited"] == waited)
        style: dict[str, Any] = {"ms": 4.5, "color": colour, "label": label, "zorder": 3}
        ax.plot(since[part], requests["latency"][part], "o", **style)
    aside = ~requests["counts"]
    mark_set_aside(ax, since[aside], requests["latency"][aside])
    ax.set_ylim(-0.06 * length, 1.15 * length)
