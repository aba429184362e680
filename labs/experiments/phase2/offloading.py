"""Off the event loop: bystanders of computations on the loop, in a thread and in a process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.experiments.bystanders import BYSTANDER, COMPUTATION, CPU_BOUND, GATEWAY, USERS
from labs.experiments.phase2.computations import HEAD_START, warm_up
from labs.figures import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PREDICTION,
    canvas,
    legend,
    mark_set_aside,
    styled,
)
from labs.guessing import Guess, within_points
from labs.judging import (
    SETTLED,
    Case,
    Finding,
    doubt,
    each_attempt,
    failure,
    plural,
    seen_twice,
    verdict,
)
from labs.load.burst import Burst
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How long do requests wait behind a computation in a thread, and in a process?"

THEORY = (
    "On the event loop k computations delay a bystander by all of their time, k x s. In a thread "
    "they share the interpreter lock with the loop. Each time the loop wants it, it waits until those "
    "ahead of it have used their switch interval of 5 ms: up to k x 5 ms, and a request needs the "
    "loop about twice. In a process they share only the machine with it. Bound for both: 5 % of the "
    "delay on the loop."
)

LOOP, THREAD, PROCESS = "loop", "thread", "process"

COLOURS = {LOOP: ORANGE, THREAD: BLUE, PROCESS: GREEN}

TURNS = 2
"""How often a request needs the loop, at least: for itself, and for the response of the upstream."""

SWITCH_INTERVAL = 0.005
"""Seconds that Python leaves the interpreter lock with a thread that others wait for
(`sys.getswitchinterval`)."""

BYSTANDERS, APART = 5, 0.05
"""How many are sent behind the computations, and how many seconds apart."""

DISTURBED = 0.25
"""Cores that other programs used during a trial, from which on they may be why it was slow."""

BOUND = 0.05
"""Of the delay behind computations on the loop: the most behind as many elsewhere."""

JUDGED = (
    "behind computations in a thread or in a process, bystanders wait less than 5 % of what they "
    "wait behind as many on the event loop, and are answered before those are done"
)

GUESSES = {
    "thread": Guess(
        "Four computations run in threads, and no longer on the event loop. Which share of the delay "
        "that they caused on the loop is left for a request that comes right behind them?",
        "%",
        measured=lambda samples: 100 * _left_by_threads(samples),
        right=within_points(4),
        reference=2,
        theory=lambda prediction: 100 * _predicted_for_threads(prediction),
    ),
}


def predict(computations: Sequence[int], *, seconds: float, unloaded: float) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    `seconds` is s, of CPU time, `unloaded` the latency L0 (s). Columns: `where`, `computations`,
    `delay` (s), and its `bound` (s), which is the delay itself on the loop.
    """
    rows: list[list[Any]] = []
    for k in computations:
        delay = unloaded + k * seconds
        lock = unloaded + TURNS * k * SWITCH_INTERVAL
        rows.append([LOOP, k, delay, delay])
        rows += [[THREAD, k, lock, BOUND * delay], [PROCESS, k, unloaded, BOUND * delay]]
    return pd.DataFrame(rows, columns=["where", "computations", "delay", "bound"])


def measure(
    env: Environment,
    *,
    computations: Sequence[int] = (1, 2, 4),
    seconds: float = 0.6,
    rounds: int = 1,
) -> pd.DataFrame:
    """Send k computations of `seconds` CPU time together to one replica, and five GET /api/users behind them.

    For each k and each of `?where=loop|thread|process`, `rounds` times. Leaves one replica.

    Returns:
        One row per request. Columns: those of `Burst.samples`, `trial` (number), `where`,
        `computations`, `runtime`, `attempt`.
    """
    env.scale(GATEWAY, 1)
    warm_up(env)
    _start_pools(env, max(computations))
    parts: list[pd.DataFrame] = []
    for _ in range(rounds):
        for k in computations:
            for where in COLOURS:
                sent = _trial(env, k, where=where, seconds=seconds)
                parts.append(sent.assign(trial=len(parts), where=where, computations=k))
    samples = pd.concat(parts, ignore_index=True)
    return samples.assign(runtime=env.runtime, attempt=1)


def _start_pools(env: Environment, computations: int) -> None:
    """Start every thread and process of the pools: the first computations do it."""
    for where in (THREAD, PROCESS):
        with Burst(env[GATEWAY].url) as burst:
            burst.send("warm-up", f"{CPU_BOUND}?seconds=0.05&where={where}", times=computations)


def _trial(env: Environment, computations: int, *, where: str, seconds: float) -> pd.DataFrame:
    with Burst(env[GATEWAY].url) as burst:
        path = f"{CPU_BOUND}?seconds={seconds}&where={where}"
        burst.send(COMPUTATION, path, times=computations)
        for number in range(BYSTANDERS):
            burst.listen(APART if number else HEAD_START)
            burst.send(BYSTANDER, USERS)
    return burst.samples


def summarise(samples: pd.DataFrame) -> pd.DataFrame:
    """Return one row per trial.

    Columns: the bystanders' `delay` (s), their median, or behind the loop, where all wait for the
    same moment, the first one's; whether they were `asked` while all the computations were still to
    be done; whether they `overtook` the last of them; whether all was `ok`; and `others` (cores
    that other programs used).
    """
    rows = []
    for key, part in samples.groupby(["attempt", "trial", "where", "computations"]):
        bystanders = part[part["request"] == BYSTANDER]
        done = part[part["request"] == COMPUTATION]["ended"]
        seconds = float(part["ended"].max() - part["sent"].min())
        rows.append(
            {
                **dict(zip(("attempt", "trial", "where", "computations"), key, strict=True)),
                "delay": float(bystanders["latency"].quantile(1.0 if key[2] == LOOP else 0.5)),
                "asked": bool(bystanders["sent"].max() < done.min()),
                "overtook": bool(bystanders["ended"].median() < done.max()),
                "ok": bool((part["status"] == 200).all()),
                "others": float(part["others"].iloc[0]) / seconds,
            }
        )
    return pd.DataFrame(rows)


def _left_by_threads(samples: pd.DataFrame) -> float:
    """Return the median delay behind the most computations in threads, as a share of that on the loop."""
    trials = summarise(samples)
    most = trials[trials["computations"] == trials["computations"].max()]
    delays = most.groupby("where")["delay"].median()
    return float(delays[THREAD] / delays[LOOP])


def _predicted_for_threads(prediction: pd.DataFrame) -> float:
    most = prediction[prediction["computations"] == prediction["computations"].max()]
    delays = most.set_index("where")["delay"]
    return float(delays[THREAD] / delays[LOOP])


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare the delay behind k computations in a thread and in a process with that on the loop.

    It has to be under `BOUND` of that, measured or predicted, whichever is less. Bystanders that do
    not overtake the computations waited for them, however busy the machine: that is certain. One
    attempt in which they overtake late may be chance, since the order in which threads get the interpreter lock is
    not under control; two without a good one are a failure. On cores that other programs
    kept busy a late one is in doubt; a busy machine makes no delay shorter.
    """
    attempts = list(each_attempt(summarise(samples)))
    cases = []
    rows: list[dict[Any, Any]] = prediction.to_dict("records")
    for expected in rows:
        k, where = expected["computations"], expected["where"]
        parts = [part[part["computations"] == k] for part in attempts]
        trials = pd.concat(parts).query("where == @where")
        measured = {name: trials[name].tolist() for name in ("delay", "asked", "others")}
        cases.append(
            Case(
                f"{plural(k, 'computation')}, where={where}",
                [_finding(part, expected) for part in parts],
                {**expected, **measured},
            )
        )
    return verdict(__name__, JUDGED, cases, seen_twice)


def _finding(trials: pd.DataFrame, expected: Mapping[Any, Any]) -> Finding:
    """Return the finding of one attempt on k computations in one place; its trials are in every place."""
    where = expected["where"]
    own, loop = trials[trials["where"] == where], trials[trials["where"] == LOOP]
    if not own["ok"].all():
        return failure("not every request was answered", certain=True)
    if own.empty or loop.empty or not (own["asked"].all() and loop["asked"].all()):
        return doubt("bystanders were sent when computations were done already")
    if where == LOOP:
        waited = not own["overtook"].any()
        return SETTLED if waited else failure("bystanders did not wait", certain=True)
    if not own["overtook"].all():
        return failure("bystanders waited until they were done", certain=True)
    if own["delay"].median() < min(expected["bound"], BOUND * float(loop["delay"].median())):
        return SETTLED
    if own["others"].median() >= DISTURBED:
        return doubt("other programs kept the cores busy")
    return failure("bystanders waited longer than predicted")


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the delay (s, logarithmic) behind k computations in each place, and each bystander small.

    What is predicted is dashed, and the bound of thread and process shaded.
    """
    trials = summarise(samples)
    counts = sorted(prediction["computations"].unique())
    most = trials[trials["computations"] == counts[-1]].groupby("where")["delay"].median()
    found = ", ".join(f"{1000 * most[where]:,.0f} ms ({where})" for where in COLOURS)
    figure, (ax,) = canvas(
        f"Behind {plural(counts[-1], 'computation')}: {found}",
        runtime=samples["runtime"].iloc[0],
        note=f"small: each of {BYSTANDERS} bystanders; shaded: bound",
        height=4.4,
    )
    for index, (where, colour) in enumerate(COLOURS.items()):
        shift = 0.22 * (index - 1)
        part = trials[trials["where"] == where]
        place = part["computations"].map(counts.index) + shift
        asked = part["asked"]
        style: dict[str, Any] = {"color": colour, "zorder": 3}
        ax.plot(place[asked], part[asked]["delay"], "o", ms=7, label=f"where={where}", **style)
        mark_set_aside(ax, place[~asked], part[~asked]["delay"])
        _draw_spread(ax, samples[samples["where"] == where], counts, shift, colour)
        for row in prediction[prediction["where"] == where].to_dict("records"):
            _draw_predicted(ax, counts.index(row["computations"]) + shift, row)
    ax.plot([], [], label="predicted", **PREDICTION)
    ax.set_yscale("log")
    ax.set_xticks(range(len(counts)), [str(k) for k in counts])
    ax.grid(axis="x", visible=False)
    ax.set_xlabel("computations sent together, just before (count)")
    ax.set_ylabel(f"delay of GET {USERS} (s, log)")
    legend(figure, ax)
    return figure


def _draw_spread(
    ax: Axes, samples: pd.DataFrame, counts: Sequence[int], shift: float, colour: str
) -> None:
    bystanders = samples[samples["request"] == BYSTANDER]
    at = bystanders["computations"].map(counts.index) + shift + 0.06
    ax.plot(at, bystanders["latency"], "o", ms=3, color=colour, alpha=0.55)


def _draw_predicted(ax: Axes, at: float, row: Mapping[Any, Any]) -> None:
    """Draw a dashed line at the predicted delay; for thread and process shade all below the bound."""
    ax.plot([at - 0.09, at + 0.09], [row["delay"]] * 2, **(PREDICTION | {"linestyle": "--"}))
    if row["where"] != LOOP:
        floor = 0.001  # a logarithmic axis has no zero
        between = [at - 0.11, at + 0.11]
        ax.fill_between(between, floor, row["bound"], color=INK, alpha=0.08, linewidth=0)
