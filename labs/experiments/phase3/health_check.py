"""Passive health check."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.figures import BLUE, FAULT, ORANGE, PREDICTION, VERMILLION, canvas, legend, styled
from labs.load.open_loop import Load, Stream
from labs.load.schedule import load_report
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment
    from environment.nginx import Algorithm

TITLE = "How many requests does a dead replica cost, and how many a hanging one?"

THEORY = (
    "A dead replica costs at most max_fails failed attempts, those under way when nginx "
    "learns of it, and one for each fail_timeout of its death; each is repeated elsewhere, "
    "so that no client notices. By these further attempts nginx would find it again; when "
    "our own healing ends a fault, nginx is told. A hanging one accepts its share 1 / n, "
    "fails nothing, and is never passed over."
)

GATEWAY = "api-gateway"
PATH = "/api/non-blocking"
"""The gateway answers it alone, and at once."""

DEAD, HANGING = "dead", "hanging"

RATE = 60
"""Requests per second: a dead replica that is not passed over costs twenty attempts each second."""

QUIET = 0.5
"""Seconds of the stream before each fault."""

NOTICE = 0.3
"""Seconds that nginx waits for a connection to a host that is gone (proxy_connect_timeout): what it
sends there meanwhile is under way when it learns of the first failure."""

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
    "allows, and is asked again in time; a hanging one keeps its turn, and 1 / n of all waiting"
)


def predict(
    *, replicas: int, max_fails: int, fail_timeout: int, rate: float = RATE
) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    `rate` is in requests per second. Columns: `fault`, `failed` (attempts at once, at most), `every`
    (seconds for each further one), `eject` (s until the first is known, at most), `again` (s from
    one attempt to the next, at most), `waits` (share that waits for the fault's end).
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
    """A steady stream through nginx while its last replica is dead, and again while it hangs, each
    for `seconds` and its healing. Leaves round robin, which alone is predicted, with the usual limits.

    One row per request, by nginx's access log. Columns: `fault`, `sent` (unix seconds), `latency`
    (s), `failed` (attempts at the faulty replica that were repeated elsewhere), `replica` (that
    answered), `faulty`, `began` and `ended` (of the fault, unix seconds), `lag` and
    `intended` (of the load's request of the same rank), `lost` (the load's requests without a
    good answer), `runtime`, `attempt`.
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
    known = len(env.access_log())
    asks = Stream("asks", gateway.url + PATH, rate=RATE, timeout=LONGEST)
    with Load(asks, seconds=LONGEST, seed=env.seed) as load:
        load.until(QUIET)
        with target.killed() if fault == DEAD else target.paused() as hit:
            load.until(time.time() - load.begun + seconds)
        load.end_in(2 * ALLOWANCE)
    log = logged(env, known)
    return pd.DataFrame(
        {
            "fault": fault,
            "sent": log["sent"],
            "latency": log["seconds"],
            "failed": [asked[:-1].count(target.id) for asked in log["attempts"]],
            "replica": log["replica"],
            "faulty": target.id,
            "began": hit.began,
            "ended": hit.ended,
            "lag": load.samples["lag"],
            "intended": load.samples["intended"],
            "lost": int((~load.samples["ok"]).sum()),
        }
    )


def logged(env: Environment, known: int) -> pd.DataFrame:
    """The access log's requests for `PATH` after its first `known` lines, by when they were `sent`."""
    log = env.access_log().iloc[known:]
    log = log[(log["service"] == GATEWAY) & (log["path"] == PATH)]
    log = log.assign(sent=log["time"] - log["seconds"])
    return log.sort_values("sent", kind="stable", ignore_index=True)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Counts of attempts against their bound, the pauses between them against theirs, the return
    after the healing, the hanging share.

    Attempts (of the measurement) whose load lagged are set aside. The time to eject is shown, and
    not judged: on a busy machine it is that of the machine.
    """
    attempts = [part for _, part in samples.groupby("attempt")]
    kept = [part for part in attempts if not _lagged(part)]
    found = [
        _count(part[part["fault"] == expected["fault"]], expected)
        for part in kept or attempts[-1:]
        for expected in prediction.to_dict("records")
    ]
    doubts = [] if kept else ["the load generator could not keep its schedule"]
    failures = [reason for row in found for reason in _failures(row) if kept]
    if kept and not any(row["fault"] == DEAD and row["failed"] for row in found):
        doubts.append("dead: no attempt failed, so the fault never hit")
    if any(row["during"] < ENOUGH for row in found):
        doubts.append("too few requests during a fault")
    return Verdict.of(
        __name__,
        JUDGED,
        failures=dict.fromkeys(failures),
        doubts=doubts,
        details={"faults": found},
    )


def _lagged(part: pd.DataFrame) -> bool:
    return any(
        not load_report(mine, lag_limit=LAG_LIMIT).kept_schedule
        for _, mine in part.groupby("fault")
    )


def _count(requests: pd.DataFrame, expected: Mapping[Any, Any]) -> dict[str, Any]:
    """One fault: what it cost and what it may; times in seconds since it began, or ended."""
    began, ended = requests["began"].iloc[0], requests["ended"].iloc[0]
    sent, end = requests["sent"], requests["sent"] + requests["latency"]
    hit = requests["failed"] > 0
    asked = [*sent[hit & (sent < ended)], ended]
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
        "again": max((b - a for a, b in pairwise(asked)), default=0.0),
        "again_allowed": expected["again"] + ALLOWANCE,
        "back": float(back.min() - ended) if len(back) else math.inf,
        "waits": float(waited.mean()) if len(during) else 0.0,
        "waits_expected": expected["waits"],
    }


def _failures(row: Mapping[str, Any]) -> list[str]:
    fault = row["fault"]
    found = [f"{fault}: a client got no answer"] * bool(row["lost"])
    found += [f"{fault}: more attempts failed than allowed"] * (row["failed"] > row["allowed"])
    if row["again"] > row["again_allowed"]:
        found.append(f"{fault}: the replica was not asked again in time")
    if row["back"] > ALLOWANCE:
        found.append(f"{fault}: the replica got no requests after its healing")
    if row["during"] >= ENOUGH and abs(row["waits"] - row["waits_expected"]) > BOUND:
        found.append(f"{fault}: another share of the requests waited than predicted")
    return found


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Failed attempts over time against their bound; latency (s) while the replica hangs."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    faulty = last["faulty"].iloc[0]
    figure, axes = canvas(
        f"What {faulty} costs when it dies, and when it hangs",
        runtime=last["runtime"].iloc[0],
        note=f"{RATE} requests per second",
        rows=len(prediction),
        height=5.0,
    )
    for ax, expected in zip(axes, prediction.to_dict("records"), strict=True):
        mine = last[last["fault"] == expected["fault"]]
        ax.axvspan(0, mine["ended"].iloc[0] - mine["began"].iloc[0], **FAULT)
        (_draw_dead if expected["fault"] == DEAD else _draw_hanging)(ax, mine, expected)
        waits = f"{expected['waits']:.0%} of the requests wait for its end, predicted"
        ax.set_title(f"{expected['fault']} while shaded: {waits}", size=10)
    axes[-1].set_xlabel("time since the fault began (s)")
    legend(figure, axes[-1])
    return figure


def _draw_dead(ax: Axes, requests: pd.DataFrame, expected: Mapping[Any, Any]) -> None:
    """Failed attempts so far, and how many were allowed by then."""
    since = requests["sent"] - requests["began"]
    ax.step(since, requests["failed"].cumsum(), where="post", color=VERMILLION)
    length = requests["ended"].iloc[0] - requests["began"].iloc[0]
    moments = since[since >= 0].clip(upper=length)
    allowed = expected["failed"] + moments // expected["every"]
    ax.step(since[since >= 0], allowed, where="post", **PREDICTION)
    ax.set_ylim(-0.5, None)
    ax.set_ylabel("failed attempts (count)")


def _draw_hanging(ax: Axes, requests: pd.DataFrame, expected: Mapping[Any, Any]) -> None:
    """Each request's latency, by the replica that answered it; at its longest, the whole fault."""
    since = requests["sent"] - requests["began"]
    length = requests["ended"].iloc[0] - requests["began"].iloc[0]
    ax.plot([0, length], [length, 0], label="predicted", **PREDICTION)
    for at_fault, colour, name in ((True, ORANGE, "the faulty one"), (False, BLUE, "others")):
        mine = (requests["replica"] == requests["faulty"]) == at_fault
        style: dict[str, Any] = {"ms": 4, "color": colour, "label": f"by {name}"}
        ax.plot(since[mine], requests["latency"][mine], "o", **style)
    ax.set_ylabel("latency (s)")
