"""Passive health check: what a dead replica costs the clients, and what a hanging one costs them.

nginx detects a fault only by a failed attempt. A dead replica refuses connections, which fails; a hanging one
accepts them and does not answer, which fails only when nginx waits no longer than the hang lasts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.experiments.phase3.attempts import drawn_attempt, note_attempt
from labs.experiments.phase3.checked_axes import draw_failed, draw_waits
from labs.experiments.phase3.gateways import GATEWAY, PATH, logged_requests
from labs.figures import FAULT, canvas, legend, styled
from labs.guessing import Guess, within_points
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
    from matplotlib.figure import Figure

    from environment import Environment
    from environment.nginx import Algorithm

TITLE = "How many requests fail at a dead replica, and how many wait for a hanging one?"

THEORY = (
    "A dead replica costs at most max_fails failed attempts, those under way when the first one "
    "fails, and one more for each fail_timeout that it stays dead. nginx repeats each of them at "
    "another replica, so that every client gets its answer. A hanging replica accepts its share "
    "1 / n of the requests, fails none, and so is never passed over: 1 / n of the clients wait. "
    "With a read timeout W below the hang an attempt fails after W: the hang then costs what a death "
    "costs, and no client waits much longer than W."
)

DEAD, HANGING, TIMED_OUT = "dead", "hanging", "hanging, read timeout"
FAULTS = (DEAD, HANGING, TIMED_OUT)

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
    "allows, and is tried again in time; a hanging one keeps its turn, and 1 / n of all waiting, "
    "until nginx has a read timeout: then it is passed over like a dead one"
)

GUESSES = {
    "waiting": Guess(
        "One of three replicas hangs: it accepts connections, and answers none. nginx has a passive "
        "health check, and waits long for an answer. Which share of the requests waits until the "
        "fault is over?",
        "%",
        measured=lambda samples: 100 * _waits_for_the_hanging(samples),
        right=within_points(10),
        reference=33,
        theory=lambda prediction: 100 * prediction.set_index("fault")["waits"][HANGING],
    ),
}


def predict(
    *,
    replicas: int,
    max_fails: int,
    fail_timeout: int,
    read_timeout: int = 1,
    rate: float = RATE,
) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Args:
        replicas: n.
        max_fails: Failed attempts after which nginx passes a replica over.
        fail_timeout: Seconds (whole) for which nginx then does so.
        read_timeout: W, the seconds that nginx waits for a response in the last case.
        rate: Requests per second, to all replicas together.

    Returns:
        A row per `fault`. Columns: `failed` (attempts at once, at most), `every` (seconds for each
        further one), `eject` (seconds until the first has failed, at most), `waits` (share of the
        requests that wait for the fault's end, 0 to 1), `again` (seconds from one attempt to the
        next, at most), `back` (seconds from the healing to the next request, at most), `longest`
        (seconds that a client waits, at most).
    """
    turn = replicas / rate
    rows = [
        _passed_over(DEAD, NOTICE, max_fails, fail_timeout, turn),
        dict.fromkeys(("every", "eject", "again", "longest"), math.inf)
        | {"fault": HANGING, "failed": 0, "waits": 1 / replicas, "back": turn},
        _passed_over(TIMED_OUT, read_timeout, max_fails, fail_timeout, turn),
    ]
    columns = ["fault", "failed", "every", "eject", "waits", "again", "back", "longest"]
    return pd.DataFrame(rows, columns=columns)


def _passed_over(
    fault: str, notice: float, max_fails: int, fail_timeout: int, turn: float
) -> dict[str, Any]:
    """Return the row of a fault by which an attempt fails after `notice` seconds."""
    return {
        "fault": fault,
        "failed": max_fails + math.ceil(notice / turn),
        "every": fail_timeout,
        "eject": turn + notice,
        "waits": 0.0,
        "again": notice + fail_timeout + TICK + turn,
        "back": fail_timeout + TICK + turn,
        "longest": notice,
    }


def measure(
    env: Environment,
    *,
    replicas: int = 3,
    max_fails: int = 1,
    fail_timeout: int = 1,
    read_timeout: int = 1,
    seconds: float = 3,
    algorithm: Algorithm = "round_robin",
    faults: Sequence[str] = FAULTS,
) -> pd.DataFrame:
    """Send a steady stream through nginx while its last replica is dead, and again while it hangs.

    The last time nginx waits `read_timeout` seconds for a response, otherwise as long as ever.
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
    limits: dict[str, Any] = {"max_fails": max_fails, "fail_timeout": fail_timeout}
    for fault in faults:
        timeout: dict[str, Any] = {"read_timeout": read_timeout} if fault == TIMED_OUT else {}
        env.balance(algorithm, GATEWAY, **limits, **timeout)
        # As long as nginx may pass the healed replica over, and a moment longer.
        after = 2 * ALLOWANCE + (0.0 if fault == HANGING else fail_timeout + TICK)
        parts.append(_stream(env, fault, seconds=seconds, after=after))
    env.balance("round_robin", GATEWAY)
    return pd.concat(parts, ignore_index=True).assign(runtime=env.runtime, attempt=1)


def _stream(env: Environment, fault: str, *, seconds: float, after: float) -> pd.DataFrame:
    gateway = env[GATEWAY]
    target = gateway.replicas[-1]
    lines = len(env.access_log())
    requests = Stream("requests", gateway.url + PATH, rate=RATE, timeout=LONGEST)
    with Load(requests, seconds=LONGEST, seed=env.seed) as load:
        load.until(QUIET)
        with target.killed() if fault == DEAD else target.paused() as hit:
            load.until(time.time() - load.begun + seconds)
        load.end_in(after)
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


def _waits_for_the_hanging(samples: pd.DataFrame) -> float:
    """Return the share of the requests sent while a replica hung that waited for the fault's end."""
    return float(_waited(samples[samples["fault"] == HANGING]).mean())


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
    waited = _waited(requests)
    during = requests.loc[waited.index]
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
        "back_allowed": expected["back"] + ALLOWANCE,
        "waits": float(waited.mean()) if len(during) else 0.0,
        "waits_expected": expected["waits"],
        "longest": float(during["latency"].max()) if len(during) else 0.0,
        "longest_allowed": expected["longest"] + ALLOWANCE,
    }


def _waited(requests: pd.DataFrame) -> pd.Series[bool]:
    """Return of each request that was sent during the fault, and not near its ends, whether it waited for the end."""
    inside = requests["sent"].between(requests["began"] + EDGE, requests["ended"] - EDGE)
    during = requests[inside]
    waited: pd.Series[bool] = during["latency"] > (during["ended"] - during["sent"]) / 2
    return waited


def _finding(cost: Mapping[str, Any]) -> Finding:
    if cost["lost"]:
        return failure("a client got no answer")
    if cost["failed"] > cost["allowed"]:
        return failure("more attempts failed than allowed")
    if cost["again"] > cost["again_allowed"]:
        return failure("the replica was not tried again in time")
    if cost["back"] > cost["back_allowed"]:
        return failure("the replica got no requests after its healing")
    if cost["during"] < ENOUGH:
        return doubt("too few requests during the fault")
    if abs(cost["waits"] - cost["waits_expected"]) > BOUND:
        return failure("another share of the requests waited than predicted")
    if cost["longest"] > cost["longest_allowed"]:
        return doubt("a client waited longer than predicted")
    if cost["fault"] != HANGING and not cost["failed"]:
        return doubt("no attempt failed, so the fault never hit")
    return SETTLED


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw failed attempts against their bound, and latency (s) while the replica hangs; faults are shaded."""
    counted = on_schedule(samples, lag_limit=LAG_LIMIT, loads=_loads).kept
    drawn = drawn_attempt(samples, counted)
    rows = prediction.to_dict("records")
    costs = {row["fault"]: count_cost(drawn, row) for row in rows}
    figure, axes = canvas(
        f"A hang kept {costs[HANGING]['waits']:.0%} waiting; with a read timeout for "
        f"{costs[TIMED_OUT]['longest']:.1f} s at most",
        runtime=drawn["runtime"].iloc[0],
        note=f"{len(drawn)} requests, {RATE} per second{note_attempt(samples, drawn)}",
        rows=len(rows),
        height=6.6,
    )
    for ax, expected in zip(axes, rows, strict=True):
        requests = drawn[drawn["fault"] == expected["fault"]]
        ax.axvspan(0, requests["ended"].iloc[0] - requests["began"].iloc[0], **FAULT)
        (draw_failed if expected["fault"] == DEAD else draw_waits)(ax, requests, expected)
        cost = costs[expected["fault"]]
        failed = f"{cost['failed']} attempts failed (bound {cost['allowed']})"
        waits = f"{cost['waits']:.0%} waited for its end ({cost['waits_expected']:.0%} predicted)"
        ax.set_title(f"{cost['fault']}: {failed}, {waits}", size=10)
    axes[-1].set_xlabel("time since the fault began (s)")
    legend(figure, axes[1])
    return figure
