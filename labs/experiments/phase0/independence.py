"""Independence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.figures import (
    BLUE,
    FAULT,
    INK,
    PREDICTION,
    VERMILLION,
    canvas,
    legend,
    name_fault,
    styled,
)
from labs.load.open_loop import Load, Stream
from labs.load.schedule import load_report
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "What does killing one service cost the others?"

THEORY = (
    "An endpoint fails while a service it needs is down, and at no other time; it needs the"
    " service that owns it, and every service that one calls and waits for."
)

OWNERS = {
    "GET /users": "user-service",
    "GET /orders": "order-service",
    "POST /pay": "payment-service",
    "POST /orders": "order-service",
}
"""The endpoints under load, and the service that answers each."""

RATES = {"GET /users": 20, "GET /orders": 20, "POST /pay": 10, "POST /orders": 10}
"""Requests per second: enough to see a fault of one second, too few to load a laptop."""

ORDER = {"userId": "user-1", "items": [{"productId": "prod-1", "quantity": 1, "price": 19.99}]}

ALLOWANCE = 0.25
"""Seconds of a request's own way and of a busy machine, beyond the payment's work."""

LAG_LIMIT = 0.1
"""Seconds of the load's lag p99: no latency is judged here, only on which side of the window's
edges a request lies, and `ALLOWANCE` is wider than this."""

RESTART_SECONDS = 60.0
"""Longest restart under load; the environment gives up on one sooner."""

BIN = 0.5
"""Seconds: requests are drawn as the share answered within each."""

ENOUGH = 5
"""Requests an endpoint needs before, during and after the fault."""

JUDGED = (
    "endpoints that do not need the killed service answer every request; "
    "those that need it lose only what was under way while it was down, and do lose that"
)


def predict(
    killed: str,
    *,
    calls: Mapping[str, Sequence[str]],
    work_seconds: float,
) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    `calls` names the services an endpoint waits for besides its own. A request that was sent up to
    `work_seconds` (the killed service's work) before the kill is still on its way, and lost.
    Columns: `endpoint`, `needs` (text), `outside` and `inside` (share of requests that succeed
    while the service is up, and down), `exposed` (seconds before the kill).
    """
    needs = {endpoint: [owner, *calls.get(endpoint, ())] for endpoint, owner in OWNERS.items()}
    return pd.DataFrame(
        {
            "endpoint": list(needs),
            "needs": [", ".join(services) for services in needs.values()],
            "outside": 1.0,
            "inside": [0.0 if killed in services else 1.0 for services in needs.values()],
            "exposed": [work_seconds if killed in services else 0.0 for services in needs.values()],
        }
    )


def measure(env: Environment, *, kill: str = "payment-service", seconds: float = 9) -> pd.DataFrame:
    """One row per request to four endpoints while `kill` dies and returns.

    The service is killed after 0.35 of `seconds` and restarted after 0.5; the requests go on for
    another 0.4 of `seconds` once it is ready again. Columns: those of `Load.samples`, `began` and
    `ended` of the fault (unix seconds: just before the kill; ready again), `killed`, `runtime`,
    `attempt`.
    """
    with Load(*streams(env), seconds=seconds + RESTART_SECONDS, seed=env.seed) as load:
        load.until(0.35 * seconds)
        with env[kill].killed() as fault:
            load.until(0.5 * seconds)
        load.end_in(0.4 * seconds)
    return load.samples.assign(
        began=fault.began, ended=fault.ended, killed=kill, runtime=env.runtime, attempt=1
    )


def streams(env: Environment) -> list[Stream]:
    """The four endpoints as open-loop streams."""
    bodies: dict[str, Any] = {"POST /pay": {"amount": 19.99}, "POST /orders": ORDER}
    found = []
    for endpoint, owner in OWNERS.items():
        method, path = endpoint.split()
        found.append(
            Stream(
                endpoint,
                env[owner].url + path,
                rate=RATES[endpoint],
                method=method,
                body=bodies.get(endpoint),
                headers={"Idempotency-Key": "{key}"} if endpoint == "POST /orders" else {},
            )
        )
    return found


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """GETs answer all; the rest fails only inside the fault's window, and does fail there.

    A failure belongs to the fault when the request was under way at some moment of it: it ended
    after the kill, was meant to start before the service was ready again, and started no earlier
    than its work (`exposed`) plus `ALLOWANCE` before the kill. Attempts whose load generator
    lagged are set aside.
    """
    attempts = [part for _, part in samples.groupby("attempt")]
    kept = [part for part in attempts if load_report(part, lag_limit=LAG_LIMIT).kept_schedule]
    counted = count(classify(pd.concat(kept or attempts), prediction), prediction)
    rows = counted.to_dict("records")
    details = {
        "load": [str(load_report(part, lag_limit=LAG_LIMIT)) for part in attempts],
        "endpoints": {row["endpoint"]: row for row in rows},
    }
    if not kept:
        doubt = "the load generator could not keep its schedule"
        return Verdict.of(__name__, JUDGED, doubts=[doubt], details=details)
    hit = any(row["owned"] and row["failed_during"] for row in rows)
    failures = [reason for row in rows for reason in _failures(row, hit=hit)]
    doubts = [reason for row in rows for reason in _doubts(row)]
    return Verdict.of(__name__, JUDGED, failures=failures, doubts=doubts, details=details)


def classify(samples: pd.DataFrame, prediction: pd.DataFrame) -> pd.DataFrame:
    """Adds `when` to each request: before, during (under way at some moment of it), or after."""
    exposed = samples["stream"].map(prediction.set_index("endpoint")["exposed"])
    start, end = samples["intended"], samples["intended"] + samples["latency"]
    since = samples["began"] - exposed - ALLOWANCE
    overlaps = (end >= samples["began"]) & (start <= samples["ended"]) & (start >= since)
    when = pd.Series("before", index=samples.index)
    when[start > samples["ended"]] = "after"
    when[overlaps] = "during"
    return samples.assign(when=when)


def count(requests: pd.DataFrame, prediction: pd.DataFrame) -> pd.DataFrame:
    """Per endpoint: requests and failures by their relation to the fault."""
    killed = requests["killed"].iloc[0]
    rows = []
    for expected in prediction.to_dict("records"):
        mine = requests[requests["stream"] == expected["endpoint"]]
        outside = mine["when"].isin(["before", "after"])
        rows.append(
            {
                "endpoint": expected["endpoint"],
                "owned": OWNERS[expected["endpoint"]] == killed,
                "doomed": expected["inside"] == 0,
                "before": int((mine["when"] == "before").sum()),
                "during": int((~outside).sum()),
                "after": int((mine["when"] == "after").sum()),
                "failed": int((~mine["ok"]).sum()),
                "failed_outside": int((outside & ~mine["ok"]).sum()),
                "failed_during": int((~outside & ~mine["ok"]).sum()),
            }
        )
    table = pd.DataFrame(rows)
    table["spared"] = table["doomed"] & (table["during"] > 0) & (table["failed_during"] == 0)
    return table


def _failures(row: Mapping[Any, Any], *, hit: bool) -> list[str]:
    endpoint = row["endpoint"]
    if not row["doomed"]:
        return [f"{endpoint} lost requests, and does not need the service"] * bool(row["failed"])
    found = [f"{endpoint} failed while the service was up"] * bool(row["failed_outside"])
    return found + [f"{endpoint} was predicted to fail, and answered"] * bool(hit and row["spared"])


def _doubts(row: Mapping[Any, Any]) -> list[str]:
    found = [
        f"too few requests to {row['endpoint']} {when} the fault"
        for when in ("before", "during", "after")
        if row[when] < ENOUGH
    ]
    if row["owned"] and row["spared"]:
        found.append("the fault never hit: the killed service went on answering")
    return found


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Success (%) per endpoint over time, the fault shaded, the prediction dashed."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    killed, began = last["killed"].iloc[0], last["began"].iloc[0]
    figure, axes = canvas(
        f"Who notices that {killed} died?",
        runtime=last["runtime"].iloc[0],
        note="share answered, per half second of their start",
        rows=len(prediction),
        height=5.6,
    )
    down = (0.0, last["ended"].iloc[0] - began)
    for ax, expected in zip(axes, prediction.to_dict("records"), strict=True):
        mine = last[last["stream"] == expected["endpoint"]]
        _draw_endpoint(ax, mine["intended"] - began, mine["ok"], expected, down)
    name_fault(axes[0], *down, f"{killed} down")
    axes[-1].set_xlabel(f"time since {killed} was killed (s)")
    figure.supylabel("requests answered (%)", size=10, color=INK)
    legend(figure, axes[-1])
    return figure


def _draw_endpoint(
    ax: Axes,
    since: pd.Series[float],
    ok: pd.Series[bool],
    expected: Mapping[Any, Any],
    down: tuple[float, float],
) -> None:
    share = 100 * ok.groupby((since // BIN) * BIN).mean()
    share[share.index[-1] + BIN] = share.iloc[-1]  # a step ends where the next would begin
    ax.axvspan(*down, **FAULT)
    ax.fill_between(share.index, share, step="post", color=BLUE, alpha=0.18, linewidth=0)
    ax.step(share.index, share, where="post", color=BLUE, label="measured")
    lost_from = down[0] - expected["exposed"]
    edges = [since.min(), lost_from, lost_from, down[1], down[1], since.max()]
    outside, inside = 100 * expected["outside"], 100 * expected["inside"]
    ax.plot(edges, [outside] * 2 + [inside] * 2 + [outside] * 2, label="predicted", **PREDICTION)
    lost = since[~ok]
    ax.plot(lost, [-9] * len(lost), "|", color=VERMILLION, ms=6, mew=1.3, label="a lost request")
    ax.set_ylim(-18, 112)
    ax.set_yticks([0, 50, 100])
    ax.set_xlim(since.min(), since.max())
    ax.set_title(expected["endpoint"], size=10)
