"""Aggregation: one response from two services that are requested at the same time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    styled,
)
from labs.guessing import Guess, within_factor
from labs.judging import SETTLED, Case, Finding, doubt, failure, on_schedule, pooled, verdict
from labs.load.open_loop import Stream, run_load

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment
    from labs.verdicts import Verdict

TITLE = "Does a dashboard of two services wait for their sum, or for the slower one?"

THEORY = (
    "Parts that are requested at the same time take the time of the slowest, max(D1, D2); "
    "requested one after the other they take the sum, D1 + D2."
)

USERS, ORDERS, DASHBOARD = "GET /users", "GET /orders", "GET /api/dashboard"

COLOURS = {USERS: BLUE, ORDERS: GREEN, DASHBOARD: ORANGE}

RATE = 8
"""Requests per second and stream: they overlap, as those of independent clients do."""

TOLERANCE = 0.2
"""Share of the prediction by which the median dashboard may differ from it."""

LAG_LIMIT = 0.05
"""Seconds of the load's lag p99: half of what `TOLERANCE` allows for the shortest delay judged."""

ENOUGH = 8
"""Requests that each stream needs at each delay."""

JUDGED = "the dashboard takes the time of its slower part, within 20 %, whichever that is"

GUESSES = {
    "times": Guess(
        "The dashboard needs users and orders, and both services are slow. How many times as long "
        "as the slower one of them does the dashboard take?",
        "times",
        measured=lambda samples: _times_the_slower(samples),
        right=within_factor(1.2),
        reference=1,
    ),
}


def predict(users_seconds: float, orders_seconds: Sequence[float]) -> pd.DataFrame:
    """Return `THEORY` as seconds until the dashboard is complete.

    `users_seconds` is the delay of GET /users, `orders_seconds` are those of GET /orders, one row
    each. Columns: `orders_seconds`, `parallel`, `sequential`.
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
    """Return one row per request: the dashboard, and both parts directly, while both are slowed.

    Sends requests for `seconds` at each delay. Columns: those of `Load.samples`, `users_seconds` and
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


def _times_the_slower(samples: pd.DataFrame) -> float:
    """Return the dashboard's time as a multiple of its slower part's, the median of the delays."""
    medians = samples.groupby(["orders_seconds", "stream"])["latency"].median().unstack()
    return float((medians[DASHBOARD] / medians[[USERS, ORDERS]].max(axis=1)).median())


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Pass when at each delay the median dashboard is within `TOLERANCE` of the slower part's delay.

    A delay is in doubt where the parts themselves, requested directly in the same seconds, did not
    take their own delays within the same tolerance: the fault did not hit, or the machine was busy.

    Policy `pooled`, one case per delay: further attempts add requests to the medians.
    """
    schedule = on_schedule(samples, lag_limit=LAG_LIMIT)
    rows = add_medians(prediction, samples if schedule.finding else schedule.samples)
    cases = [
        Case(f"GET /orders slowed by {row['orders_seconds']:g} s", [_finding(row)]) for row in rows
    ]
    if schedule.finding:
        cases = [Case("", [schedule.finding])]
    return verdict(__name__, JUDGED, cases, pooled, details=schedule.details | {"delays": rows})


def _finding(row: Mapping[Any, Any]) -> Finding:
    if not row["requests"] >= ENOUGH:
        return doubt("too few requests")
    if not (_near(row[USERS], row["users_seconds"]) and _near(row[ORDERS], row["orders_seconds"])):
        return doubt("requested directly, a part did not take the time it was slowed by")
    if row["lost"]:
        return failure(f"requests were lost: {row['lost']}")
    if not _near(row[DASHBOARD], row["parallel"]):
        return failure("the dashboard did not take the time of its slower part")
    return SETTLED


def add_medians(prediction: pd.DataFrame, samples: pd.DataFrame) -> list[dict[Any, Any]]:
    """Return the rows of the prediction with what was measured at each delay.

    Adds the median seconds of each stream under its name, `users_seconds`, `requests` (of the stream
    with the fewest) and `lost` (the streams that lost requests, as text).
    """
    groups = samples.groupby(["orders_seconds", "stream"])
    table = prediction.merge(groups["latency"].median().unstack(), on="orders_seconds", how="left")
    counts = groups.size().unstack().min(axis=1).rename("requests")
    table = table.merge(counts, on="orders_seconds", how="left")
    losses = samples[~samples["ok"]].groupby("orders_seconds")["stream"].unique()
    lost = [", ".join(sorted(losses.get(delay, []))) for delay in table["orders_seconds"]]
    users_seconds = samples["users_seconds"].iloc[0]
    return table.assign(users_seconds=users_seconds, lost=lost).to_dict("records")


def _near(measured: float, predicted: float) -> bool:
    return abs(measured / predicted - 1) <= TOLERANCE


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw each request's time over the delay of orders; the slower part and the sum are lines.

    Requests of attempts that do not count are hollow.
    """
    schedule = on_schedule(samples, lag_limit=LAG_LIMIT)
    rows = add_medians(prediction, samples if schedule.finding else schedule.samples)
    ratio = max((row[DASHBOARD] / row["parallel"] for row in rows), key=lambda each: abs(each - 1))
    users_seconds = samples["users_seconds"].iloc[0]
    figure, (ax,) = canvas(
        f"The dashboard takes {ratio:.2f} times its slower part's time, at worst",
        runtime=samples["runtime"].iloc[0],
        note=f"GET /users slowed by {users_seconds:g} s; {schedule.counted.share}",
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
        offset = 0.012 * widest * (index - 1)
        for requests, fill, label in (
            (schedule.samples, colour, stream),
            (schedule.aside, "none", ""),
        ):
            sent = requests[requests["stream"] == stream]
            style: dict[str, Any] = {"mec": colour, "mfc": fill, "ms": 5, "alpha": 0.5}
            ax.plot(sent["orders_seconds"] + offset, sent["latency"], "o", label=label, **style)
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
    ax.set_xlabel(schedule.counted.below("delay of GET /orders (s)"))
    ax.set_ylabel("time until the response (s)")
    ax.legend(loc="lower right", ncols=2)
    return figure
