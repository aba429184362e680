"""The long request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.experiments.bystanders import (
    GATEWAY,
    RATE,
    classify,
    draw_computation,
    gather,
    stream,
)
from labs.figures import canvas, legend, styled
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment
    from environment.nginx import Algorithm

TITLE = "Does nginx keep others away from the replica that computes?"

THEORY = (
    "While one of n replicas computes on its event loop, round robin sends a share 1 / n "
    "there to wait. least_conn sends nobody: the computation is a connection, and the "
    "others have fewer, as long as one of them is idle."
)

PATH = "/api/non-blocking"
"""What head_of_line_blocking ask for; a gateway answers it alone. They are too few for two of them to keep two
idle replicas busy at once."""

JUDGED = (
    "while one replica computes, least_conn keeps nobody waiting, and round robin keeps "
    "about every n-th request waiting"
)


def predict(algorithms: Sequence[Algorithm], *, replicas: int) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `algorithm`, `share` (of the requests that wait, 0 to 1).
    """
    shares = [0.0 if algorithm == "least_conn" else 1 / replicas for algorithm in algorithms]
    return pd.DataFrame({"algorithm": list(algorithms), "share": shares})


def measure(
    env: Environment,
    *,
    algorithms: Sequence[Algorithm] = ("round_robin", "least_conn"),
    replicas: int = 3,
    seconds: float = 0.8,
    rounds: int = 1,
) -> pd.DataFrame:
    """A steady stream of head_of_line_blocking, and meanwhile one computation of `seconds` CPU time at a time,
    `rounds` times, by each algorithm. Leaves round robin.

    One row per bystander. Columns: those of `bystanders.stream`, `algorithm`, `runtime`, `attempt`.
    """
    env.scale(GATEWAY, replicas)
    parts = []
    for algorithm in algorithms:
        env.balance(algorithm, GATEWAY)
        part = stream(env, PATH, seconds=seconds, rounds=rounds)
        parts.append(part.assign(algorithm=algorithm))
    env.balance("round_robin", GATEWAY)
    return pd.concat(parts, ignore_index=True).assign(runtime=env.runtime, attempt=1)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """By least_conn nobody waited; by round robin at least half of the predicted share did.

    least_conn fails when half of round robin's share waited, all attempts together. Where fewer
    did, this machine may have kept both idle replicas from answering for a moment, which made them
    as busy as the other: that is in doubt until an attempt is free of it. Where round robin keeps
    too few waiting, the computation was no hindrance, and nothing is proved.
    """
    half = float(prediction["share"].max()) / 2
    cases = [
        _case(samples[samples["algorithm"] == expected["algorithm"]], expected, half=half)
        for expected in prediction.to_dict("records")
    ]
    return Verdict.of(
        __name__,
        JUDGED,
        failures=[case["failure"] for case in cases if case["failure"]],
        doubts=[case["doubt"] for case in cases if case["doubt"]],
        details={"cases": cases},
    )


def _case(samples: pd.DataFrame, expected: Mapping[Any, Any], *, half: float) -> dict[str, Any]:
    """One algorithm: its numbers, and a `failure` or a `doubt` in words (else empty)."""
    name = expected["algorithm"]
    found = gather(samples, name)
    counted, failure, doubt = found["counted"], found["failure"], found["doubt"]
    waited = int(counted["waited"].sum())
    share = waited / len(counted) if len(counted) else 0.0
    if not failure and not doubt:
        calm = _calm_attempts(found["kept"]) > 0
        failure, doubt = _who_waited(name, share, expected["share"], half=half, calm=calm)
    measured = {"counted": len(counted), "waited": waited, "measured": share}
    return {**expected, **measured, "load": found["load"], "failure": failure, "doubt": doubt}


def _who_waited(
    name: str, share: float, expected: float, *, half: float, calm: bool
) -> tuple[str, str]:
    """A failure and a doubt, in words; at most one of them is not empty."""
    if expected == 0 and share >= half:
        return f"{name}: head_of_line_blocking waited for the computation", ""
    if expected == 0 and not calm:
        return "", f"{name}: some head_of_line_blocking waited"
    if expected > 0 and share < half:
        return "", f"{name}: the computation kept too few waiting"
    return "", ""


def _calm_attempts(kept: Sequence[pd.DataFrame]) -> int:
    """In how many of the attempts nobody waited."""
    waited = [classify(part).query("counts")["waited"].sum() for part in kept]
    return waited.count(0)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Latency (s) against when a bystander was sent, around the last computation, per algorithm."""
    figure, axes = canvas(
        "Who waits for a long request?",
        runtime=samples["runtime"].iloc[0],
        note=f"GET {PATH}, {RATE} per second",
        rows=len(prediction),
        height=1.4 + 1.7 * len(prediction),
    )
    for ax, expected in zip(axes, prediction.to_dict("records"), strict=True):
        mine = samples[samples["algorithm"] == expected["algorithm"]]
        last = classify(mine[mine["attempt"] == mine["attempt"].max()])
        counted = last[last["counts"]]["waited"]
        found = f"{counted.mean():.0%} measured" if len(counted) else "nothing counted"
        ax.set_title(
            f"{expected['algorithm']}: {expected['share']:.0%} wait, predicted; {found}", size=10
        )
        draw_computation(ax, last[last["round"] == last["round"].max()], expected["share"])
    axes[-1].set_xlabel("sent, since the long request was (s)")
    figure.supylabel(f"latency of GET {PATH} (s)", size=10)
    legend(figure, axes[0])
    return figure
