"""Aggregation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.figures import (
    BLUE,
    FAULT_TEXT,
    GREEN,
    INK,
    ORANGE,
    PREDICTION,
    canvas,
    legend,
    styled,
)
from labs.load.open_loop import Stream, run_load
from labs.load.schedule import load_report
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Does a dashboard of two services wait for their sum, or for the slower one?"

THEORY = (
    "Parts that are asked at the same time take the time of the slowest, max(D1, D2); asked"
    " one after the other they take the sum, D1 + D2."
)

USERS, ORDERS, DASHBOARD = "GET /users", "GET /orders", "GET /api/dashboard"

COLOURS = {USERS: BLUE, ORDERS: GREEN, DASHBOARD: ORANGE}

RATE = 8
"""Requests per second and stream: they overlap, as those of different people do."""

TOLERANCE = 0.2
"""Share of the prediction by which the median dashboard may differ from it."""

LAG_LIMIT = 0.05
"""Seconds of the load's lag p99: half of what `TOLERANCE` leaves to the shortest delay judged."""

ENOUGH = 8
"""Requests of each stream at each delay."""

JUDGED = "the dashboard takes the time of its slower part, within 20 %, whichever that is"


def predict(users_seconds: float, orders_seconds: Sequence[float]) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Users are slowed by `users_seconds`, orders by each of `orders_seconds` in turn. Columns:
    `orders_seconds`, `parallel`, `sequential` (seconds until the dashboard).
    """
    delays = pd.Series(orders_seconds, dtype=float)
    return pd.DataFrame(
        {
            "orders_seconds": delays,
            "parallel": delays.clip(lower=users_seconds),
            "sequential": delays + users_seconds,
        }
    )


def measure(
    env: Environment,
    *,
    users_seconds: float,
    orders_seconds: Sequence[float],
    seconds: float = 1.5,
) -> pd.DataFrame:
    """One row per request: the dashboard, and both parts asked directly, while both are slowed.

    `seconds` of requests at each delay. Columns: those of `Load.samples`, `users_seconds` and
    `orders_seconds` (the delays then), `runtime`, `attempt`.
    """
    urls = {
        USERS: f"{env['user-service'].url}/users",
        ORDERS: f"{env['order-service'].url}/orders",
        DASHBOARD: f"{env['api-gateway'].url}/api/dashboard",
    }
    streams = [Stream(name, url, rate=RATE) for name, url in urls.items()]
    parts = []
    with env["user-service"].slowed(users_seconds):
        for delay in orders_seconds:
            with env["order-service"].slowed(delay):
                samples = run_load(*streams, seconds=seconds, seed=env.seed)
            parts.append(samples.assign(orders_seconds=float(delay)))
    return pd.concat(parts, ignore_index=True).assign(
        users_seconds=float(users_seconds), runtime=env.runtime, attempt=1
    )


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """At each delay the median dashboard is within `TOLERANCE` of the slower part's delay.

    In doubt where the parts themselves, asked directly, did not take their own delays within the
    same tolerance: then the fault never hit, or the machine had no time for anybody. Attempts whose
    load generator lagged are set aside.
    """
    attempts = [part for _, part in samples.groupby("attempt")]
    kept = [part for part in attempts if load_report(part, lag_limit=LAG_LIMIT).kept_schedule]
    counted = pd.concat(kept or attempts)
    table = summarise(counted, prediction)
    details = {
        "load": [str(load_report(part, lag_limit=LAG_LIMIT)) for part in attempts],
        "delays": table.to_dict("records"),
    }
    doubts = [] if kept else ["the load generator could not keep its schedule"]
    if not (table["requests"] >= ENOUGH).all():
        doubts.append("too few requests")
    elif not table["parts_as_slowed"].all():
        doubts.append("asked directly, a part did not take the time it was slowed by")
    lost = counted[~counted["ok"]]["stream"]
    failures = [f"requests were lost: {stream}" for stream in sorted(set(lost))]
    if not table["dashboard_as_predicted"].all():
        failures.append("the dashboard did not take the time of its slower part")
    if doubts:
        failures = []
    return Verdict.of(__name__, JUDGED, failures=failures, doubts=doubts, details=details)


def summarise(samples: pd.DataFrame, prediction: pd.DataFrame) -> pd.DataFrame:
    """The prediction with the median seconds of each stream beside it, and what they amount to."""
    groups = samples.groupby(["orders_seconds", "stream"])["latency"]
    table = prediction.merge(groups.median().unstack(), on="orders_seconds", how="left")
    counts = groups.size().unstack().min(axis=1).rename("requests")
    table = table.merge(counts, on="orders_seconds", how="left")
    users_seconds = samples["users_seconds"].iloc[0]
    table["parts_as_slowed"] = _near(table[USERS], users_seconds) & _near(
        table[ORDERS], table["orders_seconds"]
    )
    table["dashboard_as_predicted"] = _near(table[DASHBOARD], table["parallel"])
    return table


def _near(measured: pd.Series[float], predicted: pd.Series[float] | float) -> pd.Series[bool]:
    return (measured / predicted - 1).abs() <= TOLERANCE


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Each request's time over the orders' delay; the slower part and the sum as lines."""
    users_seconds = samples["users_seconds"].iloc[0]
    figure, (ax,) = canvas(
        f"GET /users is slowed by {users_seconds:g} s, GET /orders by more and more",
        runtime=samples["runtime"].iloc[0],
        height=4.4,
    )
    widest = 1.15 * prediction["orders_seconds"].max()
    lines = predict(users_seconds, [0, users_seconds, widest])
    slower = lines["parallel"]
    ax.fill_between(
        lines["orders_seconds"],
        (1 - TOLERANCE) * slower,
        (1 + TOLERANCE) * slower,
        color=INK,
        alpha=0.08,
        linewidth=0,
    )
    for index, (stream, colour) in enumerate(COLOURS.items()):
        mine = samples[samples["stream"] == stream]
        beside = mine["orders_seconds"] + 0.012 * widest * (index - 1)
        ax.plot(beside, mine["latency"], "o", color=colour, ms=5, alpha=0.5, label=stream)
    ax.plot(lines["orders_seconds"], slower, label="predicted: the slower part", **PREDICTION)
    sums: dict[str, Any] = {
        "color": FAULT_TEXT,
        "linewidth": 1.4,
        "linestyle": ":",
        "label": "their sum",
    }
    ax.plot(lines["orders_seconds"], lines["sequential"], **sums)
    ax.set_xlim(0, widest)
    ax.set_ylim(0, None)
    ax.set_xlabel("delay of GET /orders (s)")
    ax.set_ylabel("time until the answer (s)")
    legend(figure, ax)
    return figure
