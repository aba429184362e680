"""Passive health check: what a dead replica costs the clients, and what a hanging one costs them.

nginx detects a fault only by a failed attempt. A dead replica refuses connections, which fails; a hanging one
accepts them and does not answer, which does not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.experiments.phase3.attempts import drawn_attempt, note_attempt
from labs.experiments.phase3.gateways import GATEWAY, PATH, logged_requests
from labs.figures import BLUE, FAULT, ORANGE, PREDICTION, VERMILLION, canvas, legend, styled
from labs.judging import (
    SETTLED,
    Case,
    Finding,
    doubt,
    every_attempt,
    failure,
    on_schedule,
    verdict,
)
from labs.load.open_loop import Load, Stream
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment
    from environment.nginx import Algorithm

TITLE = "How many requests fail at a dead replica, and how many wait for a hanging one?"

THEORY = (
    "A dead replica costs at most max_fails failed attempts, those under way when the first one "
    "fails, and one more for each fail_timeout that it stays dead. nginx repeats each of them at "
    "another replica, so that every client gets its answer. A hanging replica accepts its share "
    "1 / n of the requests, fails none, and so is never passed over: 1 / n of the clients wait."
)

DEAD, HANGING = "dead", "hanging"

RATE = 60
"""Requests per second: a dead replica that is not passed over costs twenty attempts each second."""

QUIET = 0.5
"""Seconds of the stream before each fault."""

NOTICE = 0.3
"""Seconds that nginx waits for a connection to a host that is gone (proxy_connect_timeout): what it
sends there meanwhile is under way when the first attempt fails."""

TICK = 1.0
"""Seconds: nginx counts fail_timeout by a clock of whole ones."""

ALLOWANCE = 0.5
"""Seconds of a busy machine, in a time that is judged."""

BOUND = 0.12
"""By which the share that waits for a hanging replica may differ from 1 / n."""

LAG_LIMIT = 0.1
"""Seconds of the load's lag p99: attempts are counted, and the shortest time judged is longer."""

EDGE = 0.3
"""Seconds at either end of a fault whose requests are not counted among those that wait, or not."""

ENOUGH = 30
"""Requests during each fault."""

LONGEST = 60.0
"""Seconds that a fault, its healing included, never takes."""

JUDGED = (
    "a dead replica costs no client its answer, and no more failed attempts than the health check "
    "allows, and is tried again in time; a hanging one keeps its turn, and 1 / n of all waiting"
)


def predict(
    *, replicas: int, max_fails: int, fail_timeout: int, rate: float = RATE
) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Args:
        replicas: n.
        max_fails: Failed attempts after which nginx passes a replica over.
        fail_timeout: Seconds (whole) for which nginx then does so.
        rate: Requests per second, to all replicas together.

    Returns:
        A row per `fault`. Columns: `failed` (attempts at once, at most), `every` (seconds for each
        further one), `eject` (seconds until the first has failed, at most), `waits` (share of the
        requests that wait for the fault's end, 0 to 1), `again` (seconds from one attempt to the
        next, at most).
    """
    turn = replicas / rate
    under_way = math.ceil(rate / replicas * NOTICE)
    rows = [
        (DEAD, max_fails + under_way, fail_timeout, turn + NOTICE, 0.0),
        (HANGING, 0, math.inf, math.inf, 1 / replicas),
    ]
    table = pd.DataFrame(rows, columns=["fault", "failed", "every", "eject", "waits"])
    return table.assign(again=[NOTICE + fail_timeout + TICK + turn, math.inf])


def measure(
    env: Environment,
    *,
    replicas: int = 3,
    max_fails: int = 1,
    fail_timeout: int = 1,
    seconds: float = 3,
    algorithm: Algorithm = "round_robin",
) -> pd.DataFrame:
    """Send a steady stream through nginx while its last replica is dead, and again while it hangs.

    Each fault lasts `seconds` and its healing. Leaves round robin with the usual limits. (Only
    round robin is predicted.)

    Returns:
        One row per request, by nginx's access log. Columns: `fault`, `sent` (unix seconds),
        `latency` (s), `failed` (attempts at the faulty replica that were repeated elsewhere),
        `replica` (that answered), `faulty`, `began` and `ended` (of the fault, unix seconds),
        `lag` and `intended` (of the load's request of the same rank), `lost` (the load's requests
        without a good answer), `runtime`, `attempt`.
    """
    env.scale(GATEWAY, replicas)
    parts = []
    for fault in (DEAD, HANGING):
        env.balance(algorithm, GATEWAY, max_fails=max_fails, fail_timeout=fail_timeout)
        parts.append(_stream(env, fault, seconds=seconds))
    env.balance("round_robin", GATEWAY)
    return pd.concat(parts, ignore_index=True).assign(runtime=env.runtime, attempt=1)


def _stream(env: Environment, fault: str, *, seconds: float) -> pd.DataFrame:
    gateway = env[GATEWAY]
    target = gateway.replicas[-1]
    lines = len(env.access_log())
    requests = Stream("requests", gateway.url + PATH, rate=RATE, timeout=LONGEST)
    with Load(requests, seconds=LONGEST, seed=env.seed) as load:
        load.until(QUIET)
        with target.killed() if fault == DEAD else target.paused() as hit:
            load.until(time.time() - load.begun + seconds)
        load.end_in(2 * ALLOWANCE)
    log = logged_requests(env, after=lines)
    return pd.DataFrame(
        {
            "fault": fault,
            "sent": log["sent"],
            "latency": log["seconds"],
            "failed": [tried[:-1].count(target.id) for tried in log["attempts"]],
            "replica": log["replica"],
            "faulty": target.id,
            "began": hit.began,
            "ended": hit.ended,
            "lag": load.samples["lag"],
            "intended": load.samples["intended"],
            "lost": int((~load.samples["ok"]).sum()),
        }
    )


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare the cost of each fault with its bound: attempts, pauses between them, return, waits.

    The time to the first failed attempt is recorded, and not judged: on a busy machine it is the
    machine's.

    Policy: every attempt. Each one has both faults whole, and what is judged are counts and bounds
    that a machine on schedule keeps, so that a failure seen once was there.
    """
    schedule = on_schedule(samples, lag_limit=LAG_LIMIT, loads=_loads)
    cases = []
    for expected in prediction.to_dict("records"):
        attempts = [count_cost(part, expected) for part in schedule.attempts]
        findings = [_finding(count_cost(part, expected)) for part in schedule.kept]
        doubts = [schedule.finding] if schedule.finding else findings
        cases.append(Case(expected["fault"], doubts, {"attempts": attempts}))
    return verdict(__name__, JUDGED, cases, every_attempt, details=schedule.details)


def _loads(attempt: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for _, requests in attempt.groupby("fault"):
        yield requests


def count_cost(attempt: pd.DataFrame, expected: Mapping[Any, Any]) -> dict[str, Any]:
    """Return what one fault cost, and what it may cost by one row of the prediction.

    `during` are the requests whose waiting was counted, `back` the seconds from the healing to the
    replica's next answer, `eject` those from the fault to the first failed attempt.
    """
    requests = attempt[attempt["fault"] == expected["fault"]]
    began, ended = requests["began"].iloc[0], requests["ended"].iloc[0]
    sent, end = requests["sent"], requests["sent"] + requests["latency"]
    hit = requests["failed"] > 0
    tried = [*sent[hit & (sent < ended)], ended]
    back = sent[(requests["replica"] == requests["faulty"]) & (sent > ended)]
    during = requests[sent.between(began + EDGE, ended - EDGE)]
    waited = during["latency"] > (ended - during["sent"]) / 2
    return {
        "fault": expected["fault"],
        "during": len(during),
        "lost": int(requests["lost"].iloc[0]),
        "failed": int(requests["failed"].sum()),
        "allowed": int(expected["failed"] + (ended - began) // expected["every"]),
        "eject": float(end[hit].min() - began) if hit.any() else None,
        "again": max((b - a for a, b in pairwise(tried)), default=0.0),
        "again_allowed": expected["again"] + ALLOWANCE,
        "back": float(back.min() - ended) if len(back) else math.inf,
        "waits": float(waited.mean()) if len(during) else 0.0,
        "waits_expected": expected["waits"],
    }


def _finding(cost: Mapping[str, Any]) -> Finding:
    if cost["lost"]:
        return failure("a client got no answer")
    if cost["failed"] > cost["allowed"]:
        return failure("more attempts failed than allowed")
    if cost["again"] > cost["again_allowed"]:
        return failure("the replica was not tried again in time")
    if cost["back"] > ALLOWANCE:
        return failure("the replica got no requests after its healing")
    if cost["during"] < ENOUGH:
        return doubt("too few requests during the fault")
    if abs(cost["waits"] - cost["waits_expected"]) > BOUND:
        return failure("another share of the requests waited than predicted")
    if cost["fault"] == DEAD and not cost["failed"]:
        return doubt("no attempt failed, so the fault never hit")
    return SETTLED


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw failed attempts over time against their bound, and latency (s) while the replica hangs."""
    counted = on_schedule(samples, lag_limit=LAG_LIMIT, loads=_loads).kept
    drawn = drawn_attempt(samples, counted)
    dead, hanging = (count_cost(drawn, expected) for expected in prediction.to_dict("records"))
    figure, axes = canvas(
        f"A dead replica cost {dead['failed']} attempts; a hanging one kept "
        f"{hanging['waits']:.0%} waiting",
        runtime=drawn["runtime"].iloc[0],
        note=f"{len(drawn)} requests, {RATE} per second{note_attempt(samples, drawn)}",
        rows=len(prediction),
        height=5.0,
    )
    for ax, expected in zip(axes, prediction.to_dict("records"), strict=True):
        requests = drawn[drawn["fault"] == expected["fault"]]
        ax.axvspan(0, requests["ended"].iloc[0] - requests["began"].iloc[0], **FAULT)
        (_draw_dead if expected["fault"] == DEAD else _draw_hanging)(ax, requests, expected)
        waits = f"predicted: {expected['waits']:.0%} of the requests wait for the fault's end"
        ax.set_title(f"{expected['fault']} while shaded; {waits}", size=10)
    axes[-1].set_xlabel("time since the fault began (s)")
    legend(figure, axes[-1])
    return figure


def _draw_dead(ax: Axes, requests: pd.DataFrame, expected: Mapping[Any, Any]) -> None:
    """Draw the failed attempts so far, and how many were allowed by then (a bound)."""
    since = requests["sent"] - requests["began"]
    ax.step(since, requests["failed"].cumsum(), where="post", color=VERMILLION)
    length = requests["ended"].iloc[0] - requests["began"].iloc[0]
    moments = since[since >= 0].clip(upper=length)
    allowed = expected["failed"] + moments // expected["every"]
    ax.step(since[since >= 0], allowed, where="post", **PREDICTION)
    ax.annotate(
        "bound",
        (since.iloc[-1], allowed.iloc[-1]),
        xytext=(0, 4),
        textcoords="offset points",
        ha="right",
        size=9,
    )
    ax.set_ylim(-0.5, 1.15 * float(allowed.max()))
    ax.locator_params(axis="y", integer=True)
    ax.set_ylabel("failed attempts (count)")


def _draw_hanging(ax: Axes, requests: pd.DataFrame, expected: Mapping[Any, Any]) -> None:
    """Draw each request's latency, by the replica that answered it; at its longest, the whole fault."""
    since = requests["sent"] - requests["began"]
    length = requests["ended"].iloc[0] - requests["began"].iloc[0]
    ax.plot([0, length], [length, 0], label="predicted", **PREDICTION)
    for at_fault, colour, name in ((True, ORANGE, "the faulty one"), (False, BLUE, "others")):
        answered = (requests["replica"] == requests["faulty"]) == at_fault
        style: dict[str, Any] = {"ms": 4, "color": colour, "label": f"by {name}"}
        ax.plot(since[answered], requests["latency"][answered], "o", **style)
    ax.set_ylabel("latency (s)")
