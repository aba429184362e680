"""A share of head_of_line_blocking."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.experiments.phase2.cpu_blocking import COMPUTATION, CPU_BOUND, GATEWAY, USERS, warm_up
from labs.figures import BLUE, FAULT, ORANGE, PREDICTION, canvas, legend, styled
from labs.load.burst import Burst
from labs.load.open_loop import Load, Stream
from labs.load.schedule import load_report
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Whom does one computation on n replicas keep waiting?"

THEORY = (
    "While one of n replicas computes on its event loop, what nginx sends there in turn "
    "waits for the end of the computation, and nothing else does: a share 1 / n of a steady"
    " stream."
)

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

BOUND = 0.1
"""By which the share may differ from 1 / n."""

ENOUGH = 10
"""Bystanders that an attempt must count for each number of replicas."""

LAG_LIMIT = 0.05
"""Seconds of the load's lag p99: only who waited is judged, and `EDGES` is wider than this."""

BUSY = 0.5
"""Cores that other programs used during a computation, from which on they may be why more than
the predicted share was slow."""

COMPUTED_WITHIN = 60.0
"""Seconds, at most, for one computation on a busy machine."""

JUDGED = "one computation on n replicas delays a share 1 / n of a steady stream, within 0.1"


def predict(replicas: Sequence[int]) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `replicas`, `share` (0 to 1).
    """
    return pd.DataFrame({"replicas": list(replicas), "share": [1 / n for n in replicas]})


def measure(
    env: Environment,
    *,
    replicas: Sequence[int] = (1, 2, 3),
    seconds: float = 0.8,
    rounds: int = 1,
) -> pd.DataFrame:
    """A steady stream of GET /api/users, and meanwhile one computation of `seconds` CPU time at a
    time, `rounds` times, on each number of replicas. Leaves the last number of replicas.

    One row per bystander. Columns: those of `stream`, `replicas`, `runtime`, `attempt`.
    """
    parts = []
    for n in replicas:
        env.scale(GATEWAY, n)
        warm_up(env)
        parts.append(stream(env, USERS, seconds=seconds, rounds=rounds).assign(replicas=n))
    return pd.concat(parts, ignore_index=True).assign(runtime=env.runtime, attempt=1)


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


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """For each n, the share of the counted head_of_line_blocking that waited is 1 / n, within `BOUND`.

    Measurements whose load generator lagged are set aside. A share that is too large on a machine
    that others kept busy tells nothing; nothing on the machine makes it too small.
    """
    cases = [
        _case(samples[samples["replicas"] == expected["replicas"]], expected)
        for expected in prediction.to_dict("records")
    ]
    return Verdict.of(
        __name__,
        JUDGED,
        failures=[case["failure"] for case in cases if case["failure"]],
        doubts=[case["doubt"] for case in cases if case["doubt"]],
        details={"cases": cases},
    )


def _case(samples: pd.DataFrame, expected: Mapping[Any, Any]) -> dict[str, Any]:
    """One number of replicas: its numbers, and a `failure` or a `doubt` in words (else empty)."""
    name = f"{expected['replicas']} replica{'s' * (expected['replicas'] != 1)}"
    found = gather(samples, name)
    counted, failure, doubt = found["counted"], found["failure"], found["doubt"]
    share = float(counted["waited"].mean()) if len(counted) else None
    busy = bool((counted["others"] >= BUSY).any())
    if share is not None and not failure and not doubt:
        failure, doubt = _who_waited(name, share, expected["share"], busy=busy)
    measured = {"counted": len(counted), "waited": int(counted["waited"].sum()), "measured": share}
    return {**expected, **measured, "load": found["load"], "failure": failure, "doubt": doubt}


def _who_waited(name: str, share: float, expected: float, *, busy: bool) -> tuple[str, str]:
    """A failure and a doubt, in words; at most one of them is not empty."""
    if share < expected - BOUND:
        return f"{name}: fewer head_of_line_blocking waited than predicted", ""
    if share <= expected + BOUND:
        return "", ""
    if busy:
        return "", f"{name}: other programs kept the cores busy"
    return f"{name}: more head_of_line_blocking waited than predicted", ""


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Latency (s) against when a bystander was sent, around the last computation, per n."""
    figure, axes = canvas(
        "Whom one computation keeps waiting",
        runtime=samples["runtime"].iloc[0],
        note=f"GET {USERS}, {RATE} per second",
        rows=len(prediction),
        height=1.2 + 1.5 * len(prediction),
    )
    for ax, expected in zip(axes, prediction.to_dict("records"), strict=True):
        mine = samples[samples["replicas"] == expected["replicas"]]
        measured = _case(mine, expected)["measured"]
        last = mine[mine["attempt"] == mine["attempt"].max()]
        draw_computation(
            ax, classify(last[last["round"] == last["round"].max()]), expected["share"]
        )
        found = "nothing counted" if measured is None else f"{measured:.0%} measured"
        n = expected["replicas"]
        ax.set_title(
            f"{n} replica{'s' * (n != 1)}: {expected['share']:.0%} wait, predicted; {found}",
            size=10,
        )
    axes[-1].set_xlabel("sent, since the computation was (s)")
    figure.supylabel(f"latency of GET {USERS} (s)", size=10)
    legend(figure, axes[0])
    return figure


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
