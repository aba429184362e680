"""The long request: which requests wait while one of several replicas computes on its event loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.experiments.bystanders import (
    ENOUGH,
    LAG_LIMIT,
    RATE,
    classify,
    draw_computation,
    stream,
)
from labs.experiments.phase3.gateways import GATEWAY, PATH
from labs.figures import canvas, legend, styled
from labs.guessing import Guess, within_points
from labs.judging import (
    SETTLED,
    Case,
    Finding,
    Schedule,
    doubt,
    failure,
    on_schedule,
    pooled,
    verdict,
)
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment
    from environment.nginx import Algorithm

TITLE = "Does nginx keep other requests away from a replica that computes?"

THEORY = (
    "While one of n replicas computes on its event loop, round robin sends a share 1 / n of the "
    "requests there to wait. least_conn sends none: the computation is a request under way, and "
    "the other replicas have fewer, as long as one of them is idle."
)

JUDGED = (
    "while one replica computes, least_conn keeps no request waiting, and round robin keeps "
    "about every n-th request waiting"
)

GUESSES = {
    "waiting": Guess(
        "One of three replicas computes, and nginx chooses by least_conn. Which share of the other "
        "requests waits for the end of the computation?",
        "%",
        measured=lambda samples: 100 * _waited(_of(samples, "least_conn")).mean(),
        right=within_points(5),
        reference=0,
        theory=lambda prediction: 100 * _of(prediction, "least_conn")["share"].iloc[0],
    ),
}


def predict(algorithms: Sequence[Algorithm], *, replicas: int) -> pd.DataFrame:
    """Return `THEORY` as numbers, for n `replicas`.

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
    """Send a steady stream of bystanders, and meanwhile one computation at a time, by each algorithm.

    A computation takes `seconds` of CPU time, and there are `rounds` of them. The bystanders are too
    few for two of them to keep two idle replicas busy at once. Leaves round robin.

    Returns:
        One row per bystander. Columns: those of `bystanders.stream`, `algorithm`, `runtime`,
        `attempt`.
    """
    env.scale(GATEWAY, replicas)
    parts = []
    for algorithm in algorithms:
        env.balance(algorithm, GATEWAY)
        part = stream(env, PATH, seconds=seconds, rounds=rounds)
        parts.append(part.assign(algorithm=algorithm))
    env.balance("round_robin", GATEWAY)
    return pd.concat(parts, ignore_index=True).assign(runtime=env.runtime, attempt=1)


def _of(frame: pd.DataFrame, algorithm: str) -> pd.DataFrame:
    rows: pd.DataFrame = frame[frame["algorithm"] == algorithm]
    return rows


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Require that by least_conn no bystander waits, and by round robin half of the predicted share.

    least_conn fails when half of round robin's share waited. Where fewer did, this machine may have
    kept both idle replicas from answering for a moment, which made them as busy as the other: that
    is in doubt until an attempt is free of it. Where round robin keeps too few waiting, the computation delayed
    nothing, and nothing is proved.

    Policy: pooled. What is judged is a share of bystanders, and an attempt has only a dozen.
    """
    half = float(prediction["share"].max()) / 2
    cases = [
        _case(samples[samples["algorithm"] == expected["algorithm"]], expected, half=half)
        for expected in prediction.to_dict("records")
    ]
    return verdict(__name__, JUDGED, cases, pooled)


def _case(samples: pd.DataFrame, expected: Mapping[Any, Any], *, half: float) -> Case:
    name = expected["algorithm"]
    if samples.empty:
        return Case(name, [doubt("not measured")])
    schedule = on_schedule(samples, lag_limit=LAG_LIMIT)
    waited = _waited(schedule.samples)
    details = {
        **expected,
        "bystanders": len(waited),
        "waited": int(waited.sum()),
        "measured": float(waited.mean()) if len(waited) else 0.0,
    }
    if not (samples["ok"].all() and samples["computed"].dropna().eq(200).all()):
        finding = failure("not every request was answered")
    else:
        finding = schedule.finding or _finding(schedule, expected["share"], half=half)
    return Case(name, [finding], details | schedule.details)


def _waited(samples: pd.DataFrame) -> pd.Series[bool]:
    """Return of each bystander that was sent during a computation whether it waited for its end."""
    bystanders = classify(samples)
    waited: pd.Series[bool] = bystanders.loc[bystanders["counts"], "waited"]
    return waited


def _finding(schedule: Schedule, expected: float, *, half: float) -> Finding:
    waited = _waited(schedule.samples)
    if len(waited) < len(schedule.kept) * ENOUGH:
        return doubt("too few bystanders during a computation")
    if expected == 0 and waited.mean() >= half:
        return failure("bystanders waited for the computation")
    if expected == 0 and all(_waited(part).any() for part in schedule.kept):
        return doubt("some bystanders waited")
    if expected > 0 and waited.mean() < half:
        return doubt("the computation kept too few waiting")
    return SETTLED


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the latency (s) of each bystander around the last computation, per algorithm."""
    rows = prediction.to_dict("records")
    counted = {row["algorithm"]: _counted(samples, row["algorithm"]) for row in rows}
    waited = {name: _waited(part) for name, part in counted.items()}
    shares = [f"{part.mean():.0%} by {name}" for name, part in waited.items() if len(part)]
    figure, axes = canvas(
        f"A long request kept waiting: {', '.join(shares) or 'no bystander that counts'}",
        runtime=samples["runtime"].iloc[0],
        note=f"{RATE} requests per second; {sum(map(len, waited.values()))} counted",
        rows=len(prediction),
        height=1.4 + 1.7 * len(prediction),
    )
    for ax, expected in zip(axes, rows, strict=True):
        part = counted[expected["algorithm"]]
        last = classify(part[part["attempt"] == part["attempt"].max()])
        measured = waited[expected["algorithm"]]
        share = f"{measured.mean():.0%} of {len(measured)} waited" if len(measured) else "too few"
        ax.set_title(
            f"{expected['algorithm']}: {share}, {expected['share']:.0%} predicted", size=10
        )
        draw_computation(ax, last[last["round"] == last["round"].max()], expected["share"])
    axes[-1].set_xlabel("time since the long request was sent (s)")
    figure.supylabel(f"latency of GET {PATH} (s)", size=10)
    legend(figure, axes[0])
    return figure


def _counted(samples: pd.DataFrame, algorithm: str) -> pd.DataFrame:
    """Return the bystanders that the verdict counts; all of them when it counts none."""
    bystanders = samples[samples["algorithm"] == algorithm]
    counted = on_schedule(bystanders, lag_limit=LAG_LIMIT).samples
    return counted if len(counted) else bystanders
