"""One slow replica: its share of the requests by two algorithms, and the quantiles that show it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from labs.experiments.phase3.gateways import GATEWAY, PATH, logged_requests
from labs.figures import BLUE, ORANGE, PREDICTION, SOFT, canvas, legend, styled
from labs.guessing import Guess, within_factor
from labs.judging import SETTLED, Case, Finding, doubt, failure, on_schedule, pooled, verdict
from labs.load.open_loop import Load, Stream
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment
    from environment.nginx import Algorithm

TITLE = "How many requests does a slow replica get, and which quantiles of the latency show it?"

THEORY = (
    "Round robin gives the slow replica 1 / n. least_conn gives it one request; N others arrive "
    "while it works on that for D seconds and go elsewhere, and then each idle replica has its turn: "
    "1 / (n + N). Evenly spaced, N is lambda D rounded down; at random (Poisson), N is lambda D on "
    "average, and 1 - exp(-lambda D) of the next requests come while it works. A quantile is slow "
    "when the slow replica's share is larger than what lies above the quantile."
)

Arrivals = Literal["even", "poisson"]

ALGORITHMS: tuple[Algorithm, ...] = ("round_robin", "least_conn")

CASES = ((100.0, 0.4), (20.0, 0.04))
"""Requests per second and the slow replica's seconds: many arrive while it works on one, or none."""

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

TOLERANCE = 0.2
"""Of the predicted number of slow requests: a busy machine makes the slow replica a little slower."""

EDGE = 1
"""Slow requests of each attempt by which a stream that begins or ends within a turn differs."""

COLOURS = {"round_robin": BLUE, "least_conn": ORANGE}

BOUND = 0.08
"""By which the share may differ where the other replicas were not idle, which the theory takes for granted."""

LAG_LIMIT = 0.05
"""Seconds of the load's lag p99: a quarter of the time that separates slow requests from fast ones
where anything is predicted to be fast."""

ENOUGH = 40
"""Requests for each case and algorithm."""

LAGGED = "{} of {} requests counted (set aside: attempts whose load lagged)"

JUDGED = (
    "where many requests arrive while the slow replica works on one, least_conn gives it few and "
    "its p95 is fast; where none do, it gets 1 / n by either algorithm, and either p95 is slow"
)

GUESSES = {
    "share": Guess(
        "One of three replicas takes 0.4 s longer for everything (1 s in the full profile), and 100 "
        "requests come per second. Which share of them does least_conn send to the slow replica?",
        "%",
        measured=lambda samples: 100 * _share_of_the_slow(samples, "slow"),
        right=within_factor(2.5),
        reference=2,
        theory=lambda prediction: 100 * _share_of_the_slow(prediction, "share"),
    ),
}


def predict(
    cases: Sequence[tuple[float, float]] = CASES,
    *,
    replicas: int = 3,
    arrivals: Arrivals = "even",
) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Args:
        cases: Each is lambda (requests per second) and D (seconds).
        replicas: n, the slow one included.
        arrivals: Whether requests are evenly spaced, or come at random times.

    Returns:
        Columns: `algorithm`, `rate` (per second), `delay` (s), `busy` (chance that the slow replica
        still works on its request when the next one comes, 0 to 1), `share` (of the slow replica,
        0 to 1), `p50`, `p95`, `p99` (seconds: D, or 0 for the others' few milliseconds).
    """
    rows = []
    for rate, delay in cases:
        meanwhile = rate * delay
        if arrivals == "even":
            meanwhile = math.floor(meanwhile)
            busy = float(meanwhile > 0)
        else:
            busy = 1 - math.exp(-meanwhile)
        least = 1 / (replicas + meanwhile)
        for algorithm, share in zip(ALGORITHMS, (1 / replicas, least), strict=True):
            row = {"algorithm": algorithm, "rate": rate, "delay": delay, "busy": busy}
            slow = {name: delay * (share > 1 - level) for name, level in QUANTILES.items()}
            rows.append(row | {"share": share} | slow)
    return pd.DataFrame(rows)


def measure(
    env: Environment,
    *,
    cases: Sequence[tuple[float, float]] = CASES,
    replicas: int = 3,
    seconds: float = 3,
    arrivals: Arrivals = "even",
) -> pd.DataFrame:
    """Send a stream for `seconds`, per case and algorithm, while the last replica is slowed.

    Leaves round robin.

    Returns:
        One row per request. Columns: those of `Load.samples`; `slow` (whether the slow replica
        answered the request of this rank in nginx's access log); `rate`, `delay`, `algorithm`,
        `runtime`, `attempt`.
    """
    env.scale(GATEWAY, replicas)
    url, target = env[GATEWAY].url + PATH, env[GATEWAY].replicas[-1]
    parts = []
    for algorithm in ALGORITHMS:
        env.balance(algorithm, GATEWAY)
        for rate, delay in cases:
            lines = len(env.access_log())
            requests = Stream("requests", url, rate=rate, arrivals=arrivals)
            with target.slowed(delay), Load(requests, seconds=seconds, seed=env.seed) as load:
                pass
            slow = logged_requests(env, after=lines)["replica"] == target.id
            case = {"rate": rate, "delay": delay, "algorithm": algorithm}
            parts.append(load.samples.assign(slow=slow, **case))
    env.balance("round_robin", GATEWAY)
    return pd.concat(parts, ignore_index=True).assign(runtime=env.runtime, attempt=1)


def _share_of_the_slow(frame: pd.DataFrame, column: str) -> float:
    """Return the mean of a column under least_conn and the load with the largest lambda D."""
    rows = frame[frame["algorithm"] == "least_conn"]
    arrivals = rows["rate"] * rows["delay"]
    return float(rows.loc[arrivals == arrivals.max(), column].mean())


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare each number of slow requests with the predicted one, and each p95 with D / 2.

    Where one in ten of the others' requests took as long as two more need to arrive, the machine kept replicas busy
    that the theory takes for idle: least_conn then has less to distinguish, and a wider `BOUND` holds.

    A p95 that is slower than predicted although the share is right may be this machine's, and is
    in doubt. The other side is a failure: no machine makes a request faster than its replica.

    Policy: pooled. A share and a quantile become sharper with the requests of further attempts.
    """
    cases = [_case(_of(samples, row), row) for row in prediction.to_dict("records")]
    return verdict(__name__, JUDGED, cases, pooled)


def _of(samples: pd.DataFrame, expected: Mapping[Any, Any]) -> pd.DataFrame:
    """Return the samples of one predicted row."""
    keys = ["algorithm", "rate", "delay"]
    return samples[samples[keys].eq([expected[key] for key in keys]).all(axis=1)]


def _case(samples: pd.DataFrame, expected: Mapping[Any, Any]) -> Case:
    arrivals = expected["rate"] * expected["delay"]
    name = f"{expected['algorithm']} at lambda D = {arrivals:g}"
    if samples.empty:
        return Case(name, [doubt("not measured")])
    schedule = on_schedule(samples, lag_limit=LAG_LIMIT)
    counted = schedule.samples
    finding = schedule.finding or _finding(counted, expected)
    if not samples["ok"].all():
        finding = failure("not every request was answered")
    details = {
        "algorithm": expected["algorithm"],
        "arrivals": arrivals,
        "predicted": dict(expected),
        "share": float(counted["slow"].mean()) if len(counted) else 0.0,
        "quantiles": counted["latency"].quantile(list(QUANTILES.values())).tolist(),
    }
    return Case(name, [finding], details | schedule.details)


def _finding(counted: pd.DataFrame, expected: Mapping[Any, Any]) -> Finding:
    if len(counted) < ENOUGH:
        return doubt("too few requests")
    if counted["latency"].max() < expected["delay"]:
        return doubt("no request was slow, so the fault never hit")
    predicted = len(counted) * expected["share"]
    allowed = TOLERANCE * predicted + EDGE * counted["attempt"].nunique()
    if not _others_idle(counted, expected):
        allowed = max(allowed, BOUND * len(counted))
    if abs(counted["slow"].sum() - predicted) > allowed:
        return failure("another share went to the slow replica than predicted")
    p95 = counted["latency"].quantile(0.95)
    if expected["p95"] and p95 < expected["p95"] / 2:
        return failure("the p95 is faster than predicted")
    if not expected["p95"] and p95 > expected["delay"] / 2:
        return doubt("the p95 is slower than predicted")
    return SETTLED


def _others_idle(counted: pd.DataFrame, expected: Mapping[Any, Any]) -> bool:
    """Return whether the other replicas were idle as a rule when nginx chose."""
    quick = counted.loc[~counted["slow"].astype(bool), "latency"]
    return bool(quick.quantile(0.9) < 2 / expected["rate"])


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the latency (ms) of the requests from the fastest to the slowest (%), per load and algorithm.

    A line rises where the slow replica's share begins; the predicted share is dashed.
    """
    loads = [load for _, load in prediction.groupby(["rate", "delay"], sort=False)]
    shares = [_share(samples, row) for row in loads[0].to_dict("records")]
    counted = sum(len(_counted(samples, row)) for row in prediction.to_dict("records"))
    note = (
        f"{counted} requests" if counted == len(samples) else LAGGED.format(counted, len(samples))
    )
    figure, axes = canvas(
        f"The slow replica got {shares[0]:.0%} by {ALGORITHMS[0]}, {shares[1]:.1%} by {ALGORITHMS[1]}",
        runtime=samples["runtime"].iloc[0],
        note=note,
        rows=len(loads),
        height=1.0 + 2.2 * len(loads),
    )
    for ax, expected in zip(axes, loads, strict=True):
        _draw_quantiles(ax, samples, expected)
    axes[-1].set_xlabel("requests, from the fastest to the slowest (%)")
    legend(figure, axes[0])
    return figure


def _share(samples: pd.DataFrame, expected: Mapping[Any, Any]) -> float:
    return float(_counted(samples, expected)["slow"].mean())


def _counted(samples: pd.DataFrame, expected: Mapping[Any, Any]) -> pd.DataFrame:
    """Return the requests that the verdict counts; all of them when it counts none."""
    requests = _of(samples, expected)
    counted = on_schedule(requests, lag_limit=LAG_LIMIT).samples
    return counted if len(counted) else requests


def _draw_quantiles(ax: Axes, samples: pd.DataFrame, expected: pd.DataFrame) -> None:
    shares: list[str] = []
    for row in expected.to_dict("records"):
        latency = 1000 * np.sort(_counted(samples, row)["latency"])
        share = f"{_share(samples, row):.1%} ({row['share']:.1%} predicted)"
        shares.append(f"{share} by {row['algorithm']}")
        below = 100 * (np.arange(len(latency)) + 0.5) / len(latency)
        colour = COLOURS[row["algorithm"]]
        ax.step(below, latency, where="mid", color=colour, label=row["algorithm"])
        edge = 100 * (1 - row["share"])
        ax.plot([0, edge, edge, 100], [0, 0, *[1000 * row["delay"]] * 2], **PREDICTION)
    ax.plot([], [], label="predicted", **PREDICTION)
    for name, level in QUANTILES.items():
        ax.axvline(100 * level, color=SOFT, linewidth=0.8, zorder=0.6)
        ax.annotate(
            name,
            (100 * level, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-3, -3),
            textcoords="offset points",
            ha="right",
            va="top",
            size=8.5,
            color=SOFT,
        )
    ax.set_xlim(0, 100)
    ax.set_ylim(0, 1.35 * ax.get_ylim()[1])
    ax.set_ylabel("latency (ms)")
    arrivals = float(expected["rate"].iloc[0] * expected["delay"].iloc[0])
    ax.set_title(f"λD = {arrivals:g}, the slow one: {', '.join(shares)}", size=9.5)
