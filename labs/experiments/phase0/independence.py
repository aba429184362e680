"""Independence: which endpoints lose requests while one service is down.

The load goes on while a service is killed and started again; the judge examines every request.
"""

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
from labs.guessing import EXACT, Guess
from labs.judging import SETTLED, Case, Finding, doubt, failure, on_schedule, pooled, verdict
from labs.load.open_loop import Load, Stream

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment
    from labs.verdicts import Verdict

TITLE = "Which endpoints fail while one service is down?"

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
"""Seconds that a request takes beyond the payment's work, on a busy machine too."""

LAG_LIMIT = 0.1
"""Seconds of the load's lag p99. No latency is judged here, only on which side of the window's
edges a request lies, and `ALLOWANCE` is wider than this."""

RESTART_SECONDS = 60.0
"""Seconds of requests kept ready for the restart; the environment's own timeout for one is shorter."""

BIN = 0.5
"""Seconds of requests whose share of answers is drawn as one step."""

ENOUGH = 5
"""Requests an endpoint needs before, during and after the fault."""

JUDGED = (
    "endpoints that do not need the killed service answer every request; "
    "those that need it lose only what was under way while it was down, and do lose that"
)

GUESSES = {
    "endpoints": Guess(
        "GET /users, GET /orders, POST /pay and POST /orders are requested all the time, and "
        "payment-service is killed. How many of these four fail meanwhile?",
        "endpoints",
        measured=lambda samples: _failed_during(samples),
        right=EXACT,
        reference=2,
        theory=lambda prediction: (prediction["inside"] == 0).sum(),
    ),
}


def predict(
    killed: str,
    *,
    calls: Mapping[str, Sequence[str]],
    work_seconds: float,
) -> pd.DataFrame:
    """Return `THEORY` as shares of requests that succeed.

    Args:
        killed: The service that is killed.
        calls: The services that an endpoint calls and waits for, besides its own service.
        work_seconds: What the killed service takes for a request. One that was sent up to this long
            before the kill is still under way, and lost.

    Returns:
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
    """Return one row per request to four endpoints while `kill` is killed and started again.

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
    """Return the four endpoints as open-loop streams."""
    bodies: dict[str, Any] = {"POST /pay": {"amount": 19.99}, "POST /orders": ORDER}
    loads = []
    for endpoint, owner in OWNERS.items():
        method, path = endpoint.split()
        loads.append(
            Stream(
                endpoint,
                env[owner].url + path,
                rate=RATES[endpoint],
                method=method,
                body=bodies.get(endpoint),
                headers={"Idempotency-Key": "{key}"} if endpoint == "POST /orders" else {},
            )
        )
    return loads


def _failed_during(samples: pd.DataFrame) -> int:
    """Return how many endpoints failed as a rule while the service was down."""
    during = samples[samples["intended"].between(samples["began"], samples["ended"])]
    return int((during.groupby("stream")["ok"].mean() < 0.5).sum())


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Pass when only those endpoints lost requests that need the service, and only while it was down.

    A loss belongs to the fault when the request was under way at some moment of it: it ended
    after the kill, was meant to start before the service was ready again, and started no earlier
    than its work (`exposed`) plus `ALLOWANCE` before the kill.

    Policy `pooled`, one case per endpoint: a single loss outside the fault fails, in whichever
    attempt it was, and further attempts only add requests.
    """
    schedule = on_schedule(samples, lag_limit=LAG_LIMIT)
    requests = samples if schedule.finding else schedule.samples
    counts = count(classify(requests, prediction), prediction)
    rows = counts.to_dict("records")
    hit = any(row["owned"] and row["failed_during"] for row in rows)
    cases = [Case(row["endpoint"], [_finding(row, fault_hit=hit)]) for row in rows]
    if schedule.finding:
        cases = [Case("", [schedule.finding])]
    details = schedule.details | {"endpoints": {row["endpoint"]: row for row in rows}}
    return verdict(__name__, JUDGED, cases, pooled, details=details)


def classify(samples: pd.DataFrame, prediction: pd.DataFrame) -> pd.DataFrame:
    """Return the requests with `when`: before the fault, during it (for some moment of it), or after."""
    exposed = samples["stream"].map(prediction.set_index("endpoint")["exposed"])
    start, end = samples["intended"], samples["intended"] + samples["latency"]
    since = samples["began"] - exposed - ALLOWANCE
    overlaps = (end >= samples["began"]) & (start <= samples["ended"]) & (start >= since)
    when = pd.Series("before", index=samples.index)
    when[start > samples["ended"]] = "after"
    when[overlaps] = "during"
    return samples.assign(when=when)


def count(requests: pd.DataFrame, prediction: pd.DataFrame) -> pd.DataFrame:
    """Return one row per endpoint: its requests and losses by their relation to the fault."""
    killed = requests["killed"].iloc[0]
    rows = []
    for expected in prediction.to_dict("records"):
        sent = _sent(requests, expected["endpoint"])
        outside = sent["when"].isin(["before", "after"])
        rows.append(
            {
                "endpoint": expected["endpoint"],
                "owned": OWNERS[expected["endpoint"]] == killed,
                "doomed": expected["inside"] == 0,
                "before": int((sent["when"] == "before").sum()),
                "during": int((~outside).sum()),
                "after": int((sent["when"] == "after").sum()),
                "failed": int((~sent["ok"]).sum()),
                "failed_outside": int((outside & ~sent["ok"]).sum()),
                "failed_during": int((~outside & ~sent["ok"]).sum()),
            }
        )
    table = pd.DataFrame(rows)
    table["spared"] = table["doomed"] & (table["during"] > 0) & (table["failed_during"] == 0)
    return table


def _finding(row: Mapping[Any, Any], *, fault_hit: bool) -> Finding:
    """Return the finding on an endpoint; `fault_hit` when the killed service itself lost requests."""
    if not row["doomed"] and row["failed"]:
        return failure("a request was lost, and does not need the killed service")
    if row["doomed"] and row["failed_outside"]:
        return failure("a request was lost while the service was up")
    if row["spared"] and fault_hit:
        return failure("every request was answered while the service was down")
    for when in ("before", "during", "after"):
        if row[when] < ENOUGH:
            return doubt(f"too few requests {when} the fault")
    if row["spared"]:
        return doubt("the fault never hit: the killed service answered every request")
    return SETTLED


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the share of answered requests (%) per endpoint over time, the fault shaded, the prediction dashed."""
    schedule = on_schedule(samples, lag_limit=LAG_LIMIT)
    last = schedule.shown
    killed, began = last["killed"].iloc[0], last["began"].iloc[0]
    losers = [name for name in prediction["endpoint"] if not _sent(last, name)["ok"].all()]
    figure, axes = canvas(
        f"Without {killed}, {' and '.join(losers) or 'no endpoint'} lost requests",
        runtime=last["runtime"].iloc[0],
        note=f"per half second of start; {schedule.counted.share}",
        rows=len(prediction),
        height=5.6,
    )
    down = (0.0, last["ended"].iloc[0] - began)
    for ax, expected in zip(axes, prediction.to_dict("records"), strict=True):
        sent = _sent(last, expected["endpoint"])
        _draw_endpoint(ax, sent["intended"] - began, sent["ok"], expected, down)
    name_fault(axes[0], *down, f"{killed} down")
    axes[-1].set_xlabel(schedule.counted.below(f"time since {killed} was killed (s)"))
    figure.supylabel("requests answered (%)", size=10, color=INK)
    legend(figure, axes[-1])
    return figure


def _sent(requests: pd.DataFrame, endpoint: str) -> pd.DataFrame:
    return requests[requests["stream"] == endpoint]


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
