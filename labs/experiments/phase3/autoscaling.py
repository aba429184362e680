"""Autoscaling: a loop that scales the gateway by the HorizontalPodAutoscaler's formula, with and without a window.

A request keeps its replica busy without a core, so that utilisation does not depend on the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.experiments.phase3 import autoscaler
from labs.experiments.phase3.autoscaler import LEAST, TARGET, Interval, changes_of_direction
from labs.experiments.phase3.gateways import GATEWAY
from labs.experiments.phase3.scaling_loop import (
    PATH,
    SETTLE,
    WORK,
    Choose,
    interval_seconds,
    run_loop,
)
from labs.figures import BLUE, ORANGE, PREDICTION, SOFT, canvas, legend, styled
from labs.guessing import EXACT, Guess
from labs.judging import (
    SETTLED,
    Case,
    Finding,
    doubt,
    every_attempt,
    failure,
    on_schedule,
    plural,
    verdict,
)
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Does a loop by the HorizontalPodAutoscaler's formula settle, and when does it flap?"

THEORY = (
    "An autoscaler runs ceil(replicas x utilisation / target) replicas, an interval late. So when "
    "the load swings from one interval to the next, the number of replicas changes its direction "
    "as often. With a stabilisation window longer than a swing the highest recommendation of the "
    "window counts, and there is one change of direction: the last way down."
)

LOAD = (0.5, 1.5, 2.5)
"""The ramp, in what one replica carries at its target: below, between and above two of them, so that
a count that is a request too high or too low asks for no other number of replicas."""

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


def shape(swings: int, window: int) -> list[float]:
    """Return the load of each interval, in what one replica carries at its target.

    Up a ramp, `swings` times down and up again, and down for as long as a window of that many
    intervals lasts.
    """
    return [*LOAD, *LOAD[1:] * swings, *LOAD[:1] * window]


GUESSES = {
    "changes": Guess(
        "The load goes up a ramp, swings once as fast as the loop measures (four times in the full "
        "profile), and goes down. How often does the number of replicas that the loop chooses "
        "change its direction, without a stabilisation window?",
        "changes",
        measured=lambda samples: _changes_without(samples),
        right=EXACT,
        reference=3,
        theory=lambda prediction: _changes_without(prediction.assign(attempt=1)),
    ),
}


def predict(*, swings: int, window: int) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Args:
        swings: How often the load goes down and up again after its ramp.
        window: The stabilisation window, in intervals.

    Returns:
        A row per interval of each `loop`. Columns: `interval` (from 0), `load` (in what a replica
        carries at its target), `utilisation` (0 to 1), `replicas` (during the interval), `chosen`
        (for the next).
    """
    rows = []
    for loop, length in ((WITHOUT, 1), (WITH, window)):
        replicas, intervals = LEAST, list[Interval]()
        for interval, load in enumerate(shape(swings, window)):
            utilisation = min(1.0, load * TARGET / replicas)
            intervals.append(Interval(replicas, utilisation))
            chosen = autoscaler.choose(intervals, length)
            rows.append((loop, interval, load, utilisation, replicas, chosen))
            replicas = chosen
    columns = ["loop", "interval", "load", "utilisation", "replicas", "chosen"]
    return pd.DataFrame(rows, columns=columns)


def measure(
    env: Environment,
    *,
    swings: int = 1,
    window: int = 2,
    watch: float = 0.7,
    choose: Choose = autoscaler.choose,
) -> pd.DataFrame:
    """Scale the gateway in a loop under a ramp and `swings`, without a stabilisation window and with one.

    Utilisation is the number of requests that nginx logged as answered meanwhile, times `WORK`, over
    the seconds that the replicas had. Leaves one gateway.

    Args:
        env: The system.
        swings: How often the load goes down and up again after its ramp.
        window: The stabilisation window, in intervals.
        watch: Seconds in which utilisation is measured, at the end of an interval that first has
            time to scale, as this machine needs it.
        choose: The function that chooses the replicas of the next interval, such as your own.

    Returns:
        One row per request. Columns: those of `Load.samples`; `loop`, `interval` (by its intended
        start, from 0), and of this interval its `replicas`, how many were `answering`, its
        `utilisation` (0 to 1), for how long it was `watched` (s), how `late` that ended (s), what
        was `chosen`; `since` (s, when the request was due), `length` (s, of an interval), `window`
        (intervals, of this loop), `runtime`, `attempt`.
    """
    length = interval_seconds(env, watch)
    loads = shape(swings, window)
    parts = [
        run_loop(env, loads, window=intervals, length=length, choose=choose).assign(loop=loop)
        for loop, intervals in ((WITHOUT, 1), (WITH, window))
    ]
    env.scale(GATEWAY, LEAST)
    return pd.concat(parts, ignore_index=True).assign(runtime=env.runtime, attempt=1)


def _changes_without(frame: pd.DataFrame) -> int:
    """Return how often the last attempt's loop without a window changed its direction."""
    last = frame[(frame["loop"] == WITHOUT) & (frame["attempt"] == frame["attempt"].max())]
    return changes_of_direction(steps(last)["chosen"].tolist())


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare each choice with the formula, the replicas at work with the choice, and the loop's way.

    A way that follows from the formula by another utilisation than the predicted one is the
    machine's, and in doubt; so is one of a machine too slow for its intervals.

    Policy: every attempt. A step that is not the formula's is an error whenever it happens, and an
    attempt is long, so that one in which a loop goes the predicted way is enough.
    """
    cases = [
        _case(samples[samples["loop"] == name], expected) for name, expected in _loops(prediction)
    ]
    return verdict(
        __name__,
        JUDGED,
        [*cases, _comparison(cases)],
        every_attempt,
        extend=int(samples["attempt"].max()) < TRIES,
    )


def _case(samples: pd.DataFrame, expected: pd.DataFrame) -> Case:
    attempts = [part for _, part in samples.groupby("attempt")]
    details = {"attempts": [_numbers(part, expected) for part in attempts]}
    findings = [_finding(part, expected) for part in attempts]
    return Case(str(expected["loop"].iloc[0]), findings, details)


def _comparison(cases: Sequence[Case]) -> Case:
    """Return the case of both loops together: the window has to leave fewer changes of direction."""
    if any(every_attempt(case.findings) is not SETTLED for case in cases):
        return Case("", [SETTLED])  # its own case names what is wrong with a loop
    changes = {case.name: _settled(case)["changes"] for case in cases}
    calm = changes[WITH] < changes[WITHOUT]
    return Case("", [SETTLED if calm else failure("the window did not calm the loop")])


def _settled(case: Case) -> dict[str, Any]:
    """Return the numbers of the attempt that settled a loop's case."""
    numbers: dict[str, Any] = case.details["attempts"][case.findings.index(SETTLED)]
    return numbers


def _loops(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(name), part) for name, part in frame.groupby("loop", sort=False)]


def steps(samples: pd.DataFrame) -> pd.DataFrame:
    """Return one row per interval of a loop, of the columns that are the same for all its requests."""
    return samples.drop_duplicates("interval").sort_values("interval", ignore_index=True)


def _numbers(samples: pd.DataFrame, expected: pd.DataFrame) -> dict[str, Any]:
    table = steps(samples)
    return {
        "replicas": table["replicas"].tolist(),
        "chosen": table["chosen"].tolist(),
        "predicted": expected["chosen"].tolist(),
        "utilisation": table["utilisation"].round(3).tolist(),
        "changes": changes_of_direction(table["chosen"].tolist()),
        **on_schedule(samples, lag_limit=LAG_LIMIT).details,
    }


def _finding(samples: pd.DataFrame, expected: pd.DataFrame) -> Finding:
    """Return what one attempt of a loop shows."""
    table = steps(samples)
    schedule = on_schedule(samples, lag_limit=LAG_LIMIT)
    as_predicted = table["chosen"].tolist() == expected["chosen"].tolist()
    others = _others_answered(table)
    if not samples["ok"].all():
        return failure("not every request was answered")
    if table["chosen"].tolist() != _by_formula(table):
        return failure("a step was not the formula's")
    if schedule.finding:
        return schedule.finding
    if (table["late"] > SETTLE).any() and (others or not as_predicted):
        return doubt("scaling took longer than an interval")
    if others:
        return failure("not as many replicas were at work as had been chosen")
    return SETTLED if as_predicted else doubt("the utilisation was not the predicted one")


def _others_answered(table: pd.DataFrame) -> bool:
    """Return whether more replicas answered than were chosen, or fewer although each had two turns."""
    twice = table["utilisation"] * table["watched"] / WORK >= 2
    wrong = (table["answering"] != table["replicas"]) & twice
    return bool((wrong | (table["answering"] > table["replicas"])).any())


def _by_formula(table: pd.DataFrame) -> list[int]:
    """Return what should have been chosen for the measured utilisation."""
    measured = zip(table["replicas"], table["utilisation"], strict=True)
    intervals = [Interval(replicas, utilisation) for replicas, utilisation in measured]
    window = int(table["window"].iloc[0])
    return [autoscaler.choose(intervals[: n + 1], window) for n in range(len(intervals))]


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw each loop's replicas with the predicted ones, the utilisation and the latencies, over time."""
    shown = {name: _shown(samples, expected) for name, expected in _loops(prediction)}
    turns = {
        name: changes_of_direction(list(steps(part)["chosen"])) for name, part in shown.items()
    }
    figure, axes = canvas(
        f"Without a window the replicas changed direction {turns[WITHOUT]} times, with it "
        f"{turns[WITH]}",
        runtime=samples["runtime"].iloc[0],
        note=f"{sum(map(len, shown.values()))} requests GET {PATH}, {1000 * WORK:.0f} ms each",
        rows=4,
        height=8.4,
        ratios=(1.2, 1.2, 1, 1),
    )
    *counts, used, latency = axes
    for ax, (name, expected) in zip(counts, _loops(prediction), strict=True):
        loop = shown[name]
        _draw_replicas(ax, steps(loop), expected, name)
        _draw_utilisation(used, steps(loop), name)
        style: dict[str, Any] = {"ms": 3, "alpha": 0.6, "color": COLOURS[name]}
        latency.plot(loop["since"], 1000 * loop["latency"], "o", **style)
    used.axhline(TARGET, **PREDICTION)
    used.set_ylim(0, 1.1)
    used.set_ylabel("utilisation\n(share of time)")
    latency.set_ylim(0, None)
    latency.set_ylabel("latency (ms)")
    latency.set_xlabel("time (s)")
    counts[0].plot([], [], color=COLOURS[WITH], linewidth=2.5, label=f"measured, {WITH}")
    legend(figure, counts[0])
    return figure


def _shown(samples: pd.DataFrame, expected: pd.DataFrame) -> pd.DataFrame:
    """Return the attempt of a loop that decides its case: one that failed, else settled, else the last."""
    loop = samples[samples["loop"] == expected["loop"].iloc[0]]
    attempts = [part for _, part in loop.groupby("attempt")]
    findings = [_finding(part, expected) for part in attempts]
    deciding: pd.DataFrame = attempts[findings.index(every_attempt(findings))]
    return deciding


def _draw_replicas(ax: Axes, table: pd.DataFrame, expected: pd.DataFrame, name: str) -> None:
    length = table["length"].iloc[0]
    edges = [length * number for number in range(len(expected) + 1)]
    after = [*edges, edges[-1] + length / 2]  # the last choice, for half an interval
    ax.stairs(expected["load"], edges, color=SOFT, alpha=0.25, fill=True, label="load")
    for frame, label, style in (
        (table, f"measured, {name}", {"color": COLOURS[name], "linewidth": 2.5}),
        (expected, "predicted", PREDICTION),
    ):
        ways = [*frame["replicas"], frame["chosen"].iloc[-1]]
        ax.stairs(ways, after[: len(ways) + 1], baseline=None, label=label, **style)
    ax.set_yticks(range(int(expected["replicas"].max()) + 2))
    ax.set_ylim(0, expected["replicas"].max() + 1)
    ax.set_ylabel("replicas (count)")
    turns = changes_of_direction(table["chosen"].tolist())
    ax.set_title(f"{name}: {plural(turns, 'change')} of direction", size=10)


def _draw_utilisation(ax: Axes, table: pd.DataFrame, name: str) -> None:
    length = table["length"].iloc[0]
    watched = (table["interval"] + 1) * length - table["watched"] / 2
    ax.plot(watched, table["utilisation"], "o-", color=COLOURS[name], linewidth=1.4)
