"""A share of head_of_line_blocking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.experiments.bystanders import (
    GATEWAY,
    RATE,
    USERS,
    classify,
    draw_computation,
    gather,
    stream,
)
from labs.experiments.phase2.computations import warm_up
from labs.figures import canvas, legend, styled
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Whom does one computation on n replicas keep waiting?"

THEORY = (
    "While one of n replicas computes on its event loop, what nginx sends there in turn "
    "waits for the end of the computation, and nothing else does: a share 1 / n of a steady"
    " stream."
)

BOUND = 0.1
"""By which the share may differ from 1 / n."""

BUSY = 0.5
"""Cores that other programs used during a computation, from which on they may be why more than
the predicted share was slow."""

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
