"""One slow replica."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.experiments.phase3.health_check import GATEWAY, PATH, logged
from labs.figures import BLUE, PREDICTION, canvas, legend, styled
from labs.load.open_loop import Load, Stream
from labs.load.schedule import load_report
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment
    from environment.nginx import Algorithm

TITLE = "How many requests does it get, and who notices?"

THEORY = (
    "Round robin gives the slow replica 1 / n. least_conn gives it one request, and no "
    "other until it is answered D seconds later and its turn among the idle comes: 1 / "
    "(lambda D + (n + 1) / 2), and never more than 1 / n. A quantile is slow when the share"
    " is larger than what lies above it."
)

ALGORITHMS: tuple[Algorithm, ...] = ("round_robin", "least_conn")

CASES = ((100.0, 0.4), (20.0, 0.04))
"""Requests per second and the slow replica's seconds: many arrive while it works on one, or none."""

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

BOUND = 0.08
"""By which the slow replica's share may differ from the predicted one."""

LAG_LIMIT = 0.05
"""Seconds of the load's lag p99: a quarter of the time by which fast and slow are told apart where
anything is predicted to be fast."""

ENOUGH = 40
"""Requests for each case and algorithm."""

JUDGED = (
    "where many requests arrive while the slow replica works on one, least_conn gives it few and "
    "its p95 is fast; where none do, it gets 1 / n by either algorithm, and either p95 is slow"
)


def predict(cases: Sequence[tuple[float, float]] = CASES, *, replicas: int = 3) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Each case is lambda (requests per second) and D (seconds). Columns: `algorithm`, `rate`,
    `delay`, `share` (0 to 1), `p50`, `p95`, `p99` (seconds: D, or 0 for the others' few ms).
    """
    rows = []
    for rate, delay in cases:
        least = min(1 / replicas, 1 / (rate * delay + (replicas + 1) / 2))
        for algorithm, share in zip(ALGORITHMS, (1 / replicas, least), strict=True):
            row = {"algorithm": algorithm, "rate": rate, "delay": delay, "share": share}
            slow = {name: delay * (share > 1 - level) for name, level in QUANTILES.items()}
            rows.append(row | slow)
    return pd.DataFrame(rows)


def measure(
    env: Environment,
    *,
    cases: Sequence[tuple[float, float]] = CASES,
    replicas: int = 3,
    seconds: float = 3,
) -> pd.DataFrame:
    """An even stream for `seconds`, per case and algorithm, while the last replica is slowed.

    One row per request. Columns: those of `Load.samples`; `slow` (whether the slow replica answered
    the request of this rank in nginx's access log); `rate`, `delay`, `algorithm`, `runtime`,
    `attempt`. Leaves round robin.
    """
    env.scale(GATEWAY, replicas)
    target = env[GATEWAY].replicas[-1]
    parts = []
    for algorithm in ALGORITHMS:
        env.balance(algorithm, GATEWAY)
        for rate, delay in cases:
            known = len(env.access_log())
            asks = Stream("asks", env[GATEWAY].url + PATH, rate=rate)
            with target.slowed(delay), Load(asks, seconds=seconds, seed=env.seed) as load:
                pass
            slow = logged(env, known)["replica"] == target.id
            case = {"rate": rate, "delay": delay, "algorithm": algorithm}
            parts.append(load.samples.assign(slow=slow, **case))
    env.balance("round_robin", GATEWAY)
    return pd.concat(parts, ignore_index=True).assign(runtime=env.runtime, attempt=1)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Each share is the predicted one within `BOUND`, and each p95 on its side of D / 2.

    A p95 that is slow although the share is right may be this machine's, and is in doubt.
    """
    cases = [
        _case(samples.loc[_of(samples, expected)], expected)
        for expected in prediction.to_dict("records")
    ]
    return Verdict.of(
        __name__,
        JUDGED,
        failures=[case["failure"] for case in cases if case["failure"]],
        doubts=[case["doubt"] for case in cases if case["doubt"]],
        details={"cases": cases},
    )


def _of(samples: pd.DataFrame, expected: Mapping[Any, Any]) -> pd.Series[bool]:
    keys = ["algorithm", "rate", "delay"]
    return samples[keys].eq([expected[key] for key in keys]).all(axis=1)


def _case(samples: pd.DataFrame, expected: Mapping[Any, Any]) -> dict[str, Any]:
    """One algorithm under one load: its numbers, and a `failure` or a `doubt` in words."""
    arrivals = expected["rate"] * expected["delay"]
    name = f"{expected['algorithm']} at lambda D = {arrivals:g}"
    attempts = [part for _, part in samples.groupby("attempt")]
    kept = [part for part in attempts if load_report(part, lag_limit=LAG_LIMIT).kept_schedule]
    counted = pd.concat(kept) if kept else samples.iloc[:0]
    share = float(counted["slow"].mean()) if len(counted) else 0.0
    p95 = float(counted["latency"].quantile(0.95)) if len(counted) else 0.0
    failure = doubt = ""
    if not samples["ok"].all():
        failure = f"{name}: not every request was answered"
    elif attempts and not kept:
        doubt = f"{name}: the load generator could not keep its schedule"
    elif len(counted) < ENOUGH:
        doubt = f"{name}: too few requests"
    elif counted["latency"].max() < expected["delay"]:
        doubt = f"{name}: nothing was slow, so the fault never hit"
    elif abs(share - expected["share"]) > BOUND:
        failure = f"{name}: another share went to the slow replica than predicted"
    elif expected["p95"] and p95 < expected["p95"] / 2:
        failure = f"{name}: the p95 is faster than predicted"
    elif not expected["p95"] and p95 > expected["delay"] / 2:
        doubt = f"{name}: the p95 is slower than predicted"
    return {
        "algorithm": expected["algorithm"],
        "arrivals": arrivals,
        "predicted": dict(expected),
        "share": share,
        "quantiles": counted["latency"].quantile(list(QUANTILES.values())).tolist(),
        "load": [str(load_report(part, lag_limit=LAG_LIMIT)) for part in attempts],
        "failure": failure,
        "doubt": doubt,
    }


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Latency (ms) at p50, p95 and p99 by algorithm, one axes per load; predictions dashed."""
    loads = [load for _, load in prediction.groupby(["rate", "delay"], sort=False)]
    figure, axes = canvas(
        "What one slow replica of several does to the latency",
        runtime=samples["runtime"].iloc[0],
        rows=len(loads),
        height=1.0 + 2.2 * len(loads),
    )
    for ax, expected in zip(axes, loads, strict=True):
        ticks: list[str] = []
        shares: list[str] = []
        for row in expected.to_dict("records"):
            mine = samples.loc[_of(samples, row)]
            shares.append(
                f"{mine['slow'].mean():.0%} by {row['algorithm']} ({row['share']:.0%} predicted)"
            )
            for name, level in QUANTILES.items():
                at, first = len(ticks), not ticks
                ticks.append(f"{row['algorithm']}\n{name}")
                measured = 1000 * float(mine["latency"].quantile(level))
                ax.bar(at, measured, color=BLUE, width=0.6, label="measured" if first else None)
                line = [1000 * row[name]] * 2
                label = "predicted" if first else None
                ax.plot([at - 0.42, at + 0.42], line, label=label, **PREDICTION)
        arrivals = float(expected["rate"].iloc[0] * expected["delay"].iloc[0])
        ax.set_xticks(range(len(ticks)), ticks)
        ax.grid(axis="x", visible=False)
        ax.set_ylabel("latency (ms)")
        ax.set_title(f"λD = {arrivals:g}; the slow one gets {', '.join(shares)}", size=9.5)
    legend(figure, axes[0])
    return figure
