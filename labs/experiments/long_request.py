"""The long request: does nginx keep others away from the replica that computes?"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx
import pandas as pd

from labs.figures import BLUE, FAULT, ORANGE, PREDICTION, canvas, legend, styled
from labs.load import Load, Stream, honesty
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment
    from environment.nginx import Algorithm

GATEWAY = "api-gateway"
PATH, LONG = "/api/non-blocking", "/api/cpu-bound"
"""What bystanders ask for, and the long request; a gateway answers both alone."""

RATE = 40
"""Bystanders per second: too few for two of them to keep two idle replicas busy at once."""

QUIET = 0.3
"""Seconds of the stream before each computation and after it."""

EDGES = 0.15
"""Seconds at either end of a computation whose bystanders are not counted: at its beginning it may
not run yet, and near its end waiting for it cannot be told from being slow."""

WAITED = 0.5
"""Of the rest of the computation: a bystander that took more than this share of it was waiting."""

LAG_LIMIT = 0.05
"""Seconds of the load's lag p99: only who waited is judged, and `EDGES` is wider than this."""

ENOUGH = 10
"""Bystanders that an algorithm needs during computations."""

COMPUTED_WITHIN = 60.0
"""Seconds: no computation takes longer."""

JUDGED = (
    "while one replica computes, least_conn keeps nobody waiting, and round robin keeps "
    "about every n-th request waiting"
)


def predict_long_request(algorithms: Sequence[Algorithm], *, replicas: int) -> pd.DataFrame:
    """While one of n replicas computes on its event loop, round robin sends a share 1 / n there to
    wait. least_conn sends nobody: the computation is a connection, and the others have fewer, as
    long as one of them is idle.

    Columns: `algorithm`, `share` (of the requests that wait, 0 to 1).
    """
    shares = [0.0 if algorithm == "least_conn" else 1 / replicas for algorithm in algorithms]
    return pd.DataFrame({"algorithm": list(algorithms), "share": shares})


def measure_long_request(
    env: Environment,
    *,
    algorithms: Sequence[Algorithm] = ("round_robin", "least_conn"),
    replicas: int = 3,
    seconds: float = 0.8,
    rounds: int = 1,
) -> pd.DataFrame:
    """A steady stream of bystanders, and meanwhile one computation of `seconds` CPU time at a time,
    `rounds` times, by each algorithm. Leaves round robin.

    One row per bystander. Columns: those of `Load.samples`; `round` (of the computation last begun,
    0 before the first), its `began` and `ended` (unix seconds) and `computed` (its status), all
    three empty in round 0; `algorithm`, `runtime`, `attempt`.
    """
    env.scale(GATEWAY, replicas)
    parts = []
    for algorithm in algorithms:
        env.balance(algorithm, GATEWAY)
        parts.append(_stream(env, seconds=seconds, rounds=rounds).assign(algorithm=algorithm))
    env.balance("round_robin", GATEWAY)
    return pd.concat(parts, ignore_index=True).assign(runtime=env.runtime, attempt=1)


def _stream(env: Environment, *, seconds: float, rounds: int) -> pd.DataFrame:
    """The bystanders, each with the computation it came after."""
    url = env[GATEWAY].url
    bystanders = Stream("bystander", url + PATH, rate=RATE, timeout=COMPUTED_WITHIN)
    computations = []
    with Load(bystanders, seconds=rounds * COMPUTED_WITHIN, seed=env.seed) as load:
        for _ in range(rounds):
            load.until(time.time() - load.begun + QUIET)
            began = time.time()
            answer = httpx.get(url + LONG, params={"seconds": seconds}, timeout=COMPUTED_WITHIN)
            computations.append((began, time.time(), answer.status_code))
        load.end_in(QUIET)
    done = pd.DataFrame(computations, columns=["began", "ended", "computed"])
    number = done["began"].searchsorted(load.samples["intended"])
    done.index += 1
    return load.samples.assign(round=number).join(done, on="round")


def classify(samples: pd.DataFrame) -> pd.DataFrame:
    """Adds to each bystander whether it `counts` (it was meant to be sent during a computation,
    away from its `EDGES`), and whether it `waited` for an end that was not as near as those.
    """
    intended, rest = samples["intended"], samples["ended"] - samples["intended"]
    return samples.assign(
        counts=(intended >= samples["began"] + EDGES) & (rest >= EDGES),
        waited=(rest >= EDGES) & (samples["latency"] > WAITED * rest),
    )


def judge_long_request(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
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
        "long_request",
        JUDGED,
        failures=[case["failure"] for case in cases if case["failure"]],
        doubts=[case["doubt"] for case in cases if case["doubt"]],
        details={"cases": cases},
    )


def _case(samples: pd.DataFrame, expected: Mapping[Any, Any], *, half: float) -> dict[str, Any]:
    """One algorithm: its numbers, and a `failure` or a `doubt` in words (else empty)."""
    name = expected["algorithm"]
    attempts = [part for _, part in samples.groupby("attempt")]
    kept = [part for part in attempts if not honesty(part, lag_limit=LAG_LIMIT).lagged]
    requests = classify(pd.concat(kept) if kept else samples.iloc[:0])
    counted = requests[requests["counts"]]
    waited = int(counted["waited"].sum())
    share = waited / len(counted) if len(counted) else 0.0
    failure = doubt = ""
    if not (samples["ok"].all() and samples["computed"].dropna().eq(200).all()):
        failure = f"{name}: not every request was answered"
    elif attempts and not kept:
        doubt = f"{name}: the load generator could not keep its schedule"
    elif len(counted) < ENOUGH:
        doubt = f"{name}: too few bystanders during a computation"
    elif expected["share"] == 0 and share >= half:
        failure = f"{name}: bystanders waited for the computation"
    elif expected["share"] == 0 and _calm_attempts(kept) == 0:
        doubt = f"{name}: some bystanders waited"
    elif expected["share"] > 0 and share < half:
        doubt = f"{name}: the computation kept too few waiting"
    load = [str(honesty(part, lag_limit=LAG_LIMIT)) for part in attempts]
    measured = {"counted": len(counted), "waited": waited, "measured": share}
    return {**expected, **measured, "load": load, "failure": failure, "doubt": doubt}


def _calm_attempts(kept: Sequence[pd.DataFrame]) -> int:
    """In how many of the attempts nobody waited."""
    waited = [classify(part).query("counts")["waited"].sum() for part in kept]
    return waited.count(0)


@styled
def plot_long_request(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
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
        _draw_computation(ax, last[last["round"] == last["round"].max()], expected["share"])
    axes[-1].set_xlabel("sent, since the long request was (s)")
    figure.supylabel(f"latency of GET {PATH} (s)", size=10)
    legend(figure, axes[0])
    return figure


def _draw_computation(ax: Axes, requests: pd.DataFrame, share: float) -> None:
    """The bystanders around one computation; who waits, waits for the rest of it."""
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
