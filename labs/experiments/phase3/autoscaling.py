"""Autoscaling."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.figures import BLUE, ORANGE, PREDICTION, SOFT, canvas, legend, styled
from labs.load.open_loop import Load, Stream
from labs.load.schedule import load_report
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Does a loop by the HorizontalPodAutoscaler's formula settle, and when does it flap?"

THEORY = (
    "An autoscaler runs ceil(replicas x utilisation / target) replicas, an interval late. A"
    " load that swings from one interval to the next is followed by as many changes of "
    "direction, unless the highest wish of a stabilisation window counts, longer than a "
    "swing: then there is one, the last way down."
)

GATEWAY = "api-gateway"
PATH = "/api/blocking"
WORK = 0.05
"""Seconds for which a request keeps a replica from all others. It sleeps, and so it needs no core:
a replica is full at 1 / `WORK` requests per second, however many of them share the machine."""

TARGET = 0.4
"""The utilisation that the loop aims at. What is left carries the load that it learns of too late, so
that no queue of one interval is taken for the next one's load."""

TOLERANCE = 0.1
"""Of the target: a utilisation that is as near to it changes nothing."""

LEAST, MOST = 1, 8
"""Replicas, as `env.scale` can have them."""

LOAD = (0.5, 1.5, 2.5)
"""The ramp, in what one replica carries at its target: below, between and above two of them, so that
a count that is a request too high or too low asks for no other number of replicas."""

SETTLE = 0.15
"""Seconds after a change for which answers are still those of the load before it."""

PACE = 1.5
"""An interval has room for this many times what a first try at scaling took."""

TRIES = 2
"""Attempts at most: each takes half a minute, and longer the less time the machine has for it."""

LAG_LIMIT = 0.1
"""Seconds of the load's lag p99: requests are counted, over several times as long."""

WITHOUT, WITH = "without a window", "with a window"

COLOURS = {WITHOUT: ORANGE, WITH: BLUE}

JUDGED = (
    "each step is ceil(replicas x utilisation / target) of what was measured; without a "
    "stabilisation window the replicas follow each swing of the load, with it they settle"
)


def recommended(replicas: int, utilisation: float) -> int:
    """The HorizontalPodAutoscaler's wish: ceil(replicas x utilisation / target), and no other number
    within its tolerance (Kubernetes documentation, Horizontal Pod Autoscaling, algorithm details)."""
    ratio = utilisation / TARGET
    if abs(ratio - 1) <= TOLERANCE:
        return replicas
    return min(MOST, max(LEAST, math.ceil(replicas * ratio)))


def stabilised(wishes: Sequence[int], window: int) -> int:
    """The highest wish of the last `window` intervals: up at once, down only when none of them wanted
    as many (stabilizationWindowSeconds, which the documentation sets to 300 for scaling down)."""
    return max(wishes[-window:])


def shape(swings: int, window: int) -> list[float]:
    """The load of each interval, in what one replica carries at its target: up a ramp, `swings` times
    down and up again, and down, for as long as a window of that many intervals takes to forget."""
    return [*LOAD, *LOAD[1:] * swings, *LOAD[:1] * window]


def predict(*, swings: int, window: int) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `loop`, `interval` (from 0), `load` (in what a replica carries at its target),
    `utilisation` (0 to 1), `replicas` (during the interval), `chosen` (for the next).
    """
    rows = []
    for loop, length in ((WITHOUT, 1), (WITH, window)):
        replicas, wishes = LEAST, list[int]()
        for interval, load in enumerate(shape(swings, window)):
            utilisation = min(1.0, load * TARGET / replicas)
            wishes.append(recommended(replicas, utilisation))
            chosen = stabilised(wishes, length)
            rows.append((loop, interval, load, utilisation, replicas, chosen))
            replicas = chosen
    columns = ["loop", "interval", "load", "utilisation", "replicas", "chosen"]
    return pd.DataFrame(rows, columns=columns)


def measure(
    env: Environment, *, swings: int = 1, window: int = 2, watch: float = 0.7
) -> pd.DataFrame:
    """A loop that scales the gateway under a ramp and `swings`, without a stabilisation window and
    with one of `window` intervals. An interval has time to scale, as this machine needs it, and
    then `watch` seconds in which utilisation is measured. Leaves one gateway.

    Utilisation is what nginx's access log says was answered meanwhile, times `WORK`, over the
    seconds that the replicas had. One row per request. Columns: those of `Load.samples`; `loop`,
    `interval` (by its intended start, from 0), and of this interval its `replicas`, how many were
    `answering`, its `utilisation` (0 to 1), for how long it was `watched` (s), how `late` that ended
    (s), what was `chosen`; `since` (s, when the request was due), `length` (s, of an interval),
    `window` (intervals, of this loop), `runtime`, `attempt`.
    """
    length = PACE * _scaling_seconds(env) + SETTLE + watch
    parts = []
    for loop, intervals in ((WITHOUT, 1), (WITH, window)):
        env.scale(GATEWAY, LEAST)
        streams = list(_streams(env[GATEWAY].url, shape(swings, window), length))
        with Load(*streams, seconds=(len(streams) + 1) * length, seed=env.seed) as load:
            table = _follow(env, load, intervals=intervals, length=length, count=len(streams))
            load.end_in(SETTLE)
        part = load.samples.assign(loop=loop, since=load.samples["intended"] - load.begun)
        part["interval"] = part["stream"].astype(int)
        part = part.join(table, on="interval")
        parts.append(part.assign(length=length, window=intervals))
    env.scale(GATEWAY, LEAST)
    return pd.concat(parts, ignore_index=True).assign(runtime=env.runtime, attempt=1)


def _scaling_seconds(env: Environment) -> float:
    """How long this machine takes to add a replica. (To take one away is quicker.)"""
    env.scale(GATEWAY, LEAST)
    began = time.monotonic()
    env.scale(GATEWAY, LEAST + 1)
    return time.monotonic() - began


def _streams(url: str, loads: Sequence[float], length: float) -> Iterator[Stream]:
    for interval, load in enumerate(loads):
        yield Stream(
            str(interval),
            f"{url}{PATH}?seconds={WORK}",
            rate=load * TARGET / WORK,
            begins=interval * length,
            # The last goes on until it is told to end, so that it does not end before its watching does.
            ends=(interval + 1) * length if interval + 1 < len(loads) else None,
            timeout=30.0,
        )


def _follow(
    env: Environment, load: Load, *, intervals: int, length: float, count: int
) -> pd.DataFrame:
    """The loop: watch, wish, choose, scale; one row per interval."""
    rows, wishes, replicas = [], list[int](), LEAST
    for interval in range(count):
        began = max(time.time(), load.begun + interval * length) + SETTLE
        due = (interval + 1) * length
        load.until(max(due, began - load.begun + length / 4))
        ended = time.time()
        answered = _answered(env, began, ended)
        utilisation = len(answered) * WORK / ((ended - began) * replicas)
        wishes.append(recommended(replicas, utilisation))
        chosen = stabilised(wishes, intervals)
        late = ended - load.begun - due
        rows.append((replicas, answered.nunique(), utilisation, ended - began, late, chosen))
        if chosen != replicas and interval + 1 < count:
            env.scale(GATEWAY, chosen)
        replicas = chosen
    columns = ["replicas", "answering", "utilisation", "watched", "late", "chosen"]
    return pd.DataFrame(rows, columns=columns)


def _answered(env: Environment, began: float, ended: float) -> pd.Series[Any]:
    """Who answered each request between these moments (unix seconds)."""
    log = env.access_log()
    return log.loc[(log["path"] == PATH) & log["time"].between(began, ended), "replica"]


def changes_of_direction(replicas: Sequence[int]) -> int:
    """How often the number went down after it had gone up, or up after it had gone down."""
    changes = [b - a for a, b in pairwise(replicas) if a != b]
    return sum((a > 0) != (b > 0) for a, b in pairwise(changes))


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Each choice by the formula, as many replicas at work as were chosen, and the predicted way of
    the two loops, each in an attempt of its own.

    A way that the formula explains, of a utilisation that was not the predicted one, is the
    machine's, and in doubt; so is one of a machine too slow for its intervals.
    """
    loops = [_best(samples[samples["loop"] == name], part) for name, part in _loops(prediction)]
    flaps = {loop["loop"]: loop["changes"] for loop in loops}
    failures = [loop["failure"] for loop in loops if loop["failure"]]
    doubts = [loop["doubt"] for loop in loops if loop["doubt"]]
    if not failures and not doubts and flaps[WITH] >= flaps[WITHOUT]:
        failures.append("the window did not calm the loop")
    return Verdict.of(
        __name__,
        JUDGED,
        failures=failures,
        doubts=doubts,
        details={"loops": loops},
        extend=int(samples["attempt"].max()) < TRIES,
    )


def _loops(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(name), part) for name, part in frame.groupby("loop", sort=False)]


def steps(samples: pd.DataFrame) -> pd.DataFrame:
    """One row per interval of a loop, of the columns that are the same for all its requests."""
    return samples.drop_duplicates("interval").sort_values("interval", ignore_index=True)


def _best(samples: pd.DataFrame, expected: pd.DataFrame) -> dict[str, Any]:
    """Of a loop's attempts one that failed, else one without a doubt, else the last."""
    found = [_loop(part, expected) for _, part in samples.groupby("attempt")]
    failed = [loop for loop in found if loop["failure"]]
    calm = [loop for loop in found if not loop["doubt"]]
    return (failed or calm or found)[-1]


def _loop(samples: pd.DataFrame, expected: pd.DataFrame) -> dict[str, Any]:
    """One loop: its numbers, and a `failure` or a `doubt` in words (else empty)."""
    name = str(expected["loop"].iloc[0])
    table = steps(samples)
    chosen = table["chosen"].tolist()
    late = bool((table["late"] > SETTLE).any())
    failure = doubt = ""
    if not samples["ok"].all():
        failure = f"{name}: not every request was answered"
    elif chosen != _by_formula(table):
        failure = f"{name}: a step was not the formula's"
    elif not load_report(samples, lag_limit=LAG_LIMIT).kept_schedule:
        doubt = f"{name}: the load generator could not keep its schedule"
    elif late and (_strangers(table) or chosen != expected["chosen"].tolist()):
        doubt = f"{name}: scaling took longer than an interval"
    elif _strangers(table):
        failure = f"{name}: not as many replicas were at work as had been chosen"
    elif chosen != expected["chosen"].tolist():
        doubt = f"{name}: the utilisation was not the predicted one"
    return {
        "loop": name,
        "replicas": table["replicas"].tolist(),
        "chosen": chosen,
        "predicted": expected["chosen"].tolist(),
        "utilisation": table["utilisation"].round(3).tolist(),
        "changes": changes_of_direction(chosen),
        "load": str(load_report(samples, lag_limit=LAG_LIMIT)),
        "failure": failure,
        "doubt": doubt,
    }


def _strangers(table: pd.DataFrame) -> bool:
    """Whether others answered than had been chosen, or fewer although each had its turn twice."""
    twice = table["utilisation"] * table["watched"] / WORK >= 2
    wrong = (table["answering"] != table["replicas"]) & twice
    return bool((wrong | (table["answering"] > table["replicas"])).any())


def _by_formula(table: pd.DataFrame) -> list[int]:
    """What should have been chosen, of what was measured."""
    measured = zip(table["replicas"], table["utilisation"], strict=True)
    wishes = [recommended(replicas, utilisation) for replicas, utilisation in measured]
    window = int(table["window"].iloc[0])
    return [stabilised(wishes[: number + 1], window) for number in range(len(wishes))]


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Over time (s): each loop's replicas with the predicted ones (dashed) and the load, then the
    utilisation of both with its target (dashed), then their latencies (ms)."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    figure, axes = canvas(
        "Replicas that follow the load, with and without a stabilisation window",
        runtime=last["runtime"].iloc[0],
        note=f"GET {PATH}, {1000 * WORK:.0f} ms each",
        rows=4,
        height=8.4,
        ratios=(1.2, 1.2, 1, 1),
    )
    *counts, used, latency = axes
    for ax, (name, expected) in zip(counts, _loops(prediction), strict=True):
        mine = last[last["loop"] == name]
        _draw_replicas(ax, steps(mine), expected, name)
        _draw_utilisation(used, steps(mine), name)
        style: dict[str, Any] = {"ms": 3, "alpha": 0.6, "color": COLOURS[name]}
        latency.plot(mine["since"], 1000 * mine["latency"], "o", **style)
    used.axhline(TARGET, **PREDICTION)
    used.set_ylim(0, 1.1)
    used.set_ylabel("utilisation\n(share of time)")
    latency.set_ylim(0, None)
    latency.set_ylabel("latency (ms)")
    latency.set_xlabel("time (s)")
    legend(figure, counts[0])
    return figure


def _draw_replicas(ax: Axes, table: pd.DataFrame, expected: pd.DataFrame, name: str) -> None:
    length = table["length"].iloc[0]
    edges = [length * number for number in range(len(expected) + 1)]
    after = [*edges, edges[-1] + length / 2]  # where the last choice is seen
    ax.stairs(expected["load"], edges, color=SOFT, alpha=0.25, fill=True, label="load")
    for frame, label, style in (
        (table, "measured", {"color": COLOURS[name], "linewidth": 2.5}),
        (expected, "predicted", PREDICTION),
    ):
        ways = [*frame["replicas"], frame["chosen"].iloc[-1]]
        ax.stairs(ways, after[: len(ways) + 1], baseline=None, label=label, **style)
    ax.set_yticks(range(int(expected["replicas"].max()) + 2))
    ax.set_ylabel("replicas (count)")
    turns = changes_of_direction(table["chosen"].tolist())
    ax.set_title(f"{name}: {turns} change{'s' * (turns != 1)} of direction", size=10)


def _draw_utilisation(ax: Axes, table: pd.DataFrame, name: str) -> None:
    length = table["length"].iloc[0]
    watched = (table["interval"] + 1) * length - table["watched"] / 2
    ax.plot(watched, table["utilisation"], "o-", color=COLOURS[name], linewidth=1.4)
