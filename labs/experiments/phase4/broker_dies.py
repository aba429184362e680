"""The broker dies: orders while the broker hangs, is killed and starts again."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.evidence import Counterexample, first_order
from labs.experiments.phase4.events import follow, read_events
from labs.experiments.phase4.failed_attempts import fields_of
from labs.experiments.phase4.names import CONFIRMED, CREATED, ORDERS, PAYMENTS
from labs.experiments.phase4.orders import ITEMS, all_orders
from labs.figures import BLUE, FAULT, ORANGE, PREDICTION, SOFT, canvas, legend, name_fault, styled
from labs.guessing import EXACT, Guess, within_factor
from labs.judging import (
    SETTLED,
    Case,
    Finding,
    doubt,
    each_attempt,
    every_attempt,
    failure,
    seen_twice,
    verdict,
)
from labs.load.open_loop import Load, Stream
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Which orders are lost when the broker dies, and what has to be restarted when it is back?"

THEORY = (
    "An event that is committed with its order waits in the outbox until the broker has "
    "acknowledged it, and is sent again until then. So no accepted order is lost when the broker "
    "hangs and is killed. A consumer that had no connection for longer than its session timeout joins "
    "its group again as a new member. The broker that is back still expects the former member, for one "
    "more session timeout: so the orders placed meanwhile are done a session timeout and a heartbeat "
    "after its return. Where the connection was lost for a shorter time, they are done at once."
)

BROKER = "kafka"

REMOVED = "the group removed this replica"
"""What a consumer logs when its session has ended."""

BEFORE, AWAY, AFTER = "before", "while it is away", "after"

RATE = 20
"""Orders per second."""

RESTART_SECONDS = 90.0
"""Longest restart of the broker under load; the environment gives up on one sooner."""

DONE_SECONDS = 30.0
"""How long the last order may take, once the broker is back, until it counts as never completed."""

ALLOWANCE = 1.0
"""Seconds of reconnecting to the broker, on top of the time until orders are done."""

OF_THE_START = 0.5
"""Of the time that the broker took to start, on top as well: what the group then needs is work of the same kind, which
a busy machine makes longer by as much."""

EARLY = 1.5
"""Seconds by which the broker may have counted its members' sessions before it was seen to be back."""

REJOINED = "the group removed its consumers, which joined again"
KEPT = "its consumers kept their places in the group"

LINES = 2000
"""Of a service's log: more than it writes meanwhile."""

ENOUGH = 10
"""Orders of each moment."""

JUDGED = (
    "every order is accepted while the broker hangs and is dead; not one event is missing "
    "afterwards, and every order is completed, though no service was restarted: a session timeout "
    "after the broker's return, where the consumers had to join their groups again"
)

GUESSES = {
    "lost": Guess(
        "Orders are accepted all the time while the only Kafka broker hangs, is killed and comes "
        "back. The event of how many accepted orders is lost?",
        "orders",
        measured=lambda samples: (samples["published"] == 0).sum(),
        right=EXACT,
        reference=0,
        theory=lambda prediction: prediction["missing"].sum(),
    ),
    "seconds": Guess(
        "The broker was away for longer than the consumers' session timeout of 6 s. How many "
        "seconds after its return is an order done that was placed meanwhile (the median)?",
        "s",
        measured=lambda samples: _done_after(list(each_attempt(samples))[-1]),
        right=within_factor(1.6),
        reference=6.5,
        theory=lambda prediction: prediction["removed"].max(),
    ),
}


def predict(*, session_timeout: float = 6.0, heartbeat: float = 0.5) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Both arguments are in seconds. Columns: `moment` (at which an order is placed), `accepted` (share of the orders),
    `missing` (of those accepted, without an event), `kept` and `removed` (seconds from the broker's return until one
    is done, where the consumers kept their places, and where they joined again; empty where it is done at once).
    """
    again = session_timeout + heartbeat
    rows = [
        (BEFORE, 1.0, 0, float("nan"), float("nan")),
        (AWAY, 1.0, 0, 0.0, again),
        (AFTER, 1.0, 0, 0.0, again),
    ]
    return pd.DataFrame(rows, columns=["moment", "accepted", "missing", "kept", "removed"])


def measure(env: Environment, *, seconds: float = 1.5, paused: float = 6.0) -> pd.DataFrame:
    """Place orders steadily while the broker is paused, killed and started again.

    It is paused after `seconds`, killed `paused` seconds later and started at once; the orders go on for another
    `seconds`. By default it hangs for a session timeout, so that it is away for longer however fast it starts: about at
    the timeout some members would leave their group and others stay. Records that were sent to a broker that hangs are
    lost with it: a producer that did not wait for an acknowledgement has lost them.

    One row per accepted order, by order-service's own list. Columns: `order`, `created` (unix seconds), `status`,
    `published` (its first events in the topic), `done` (unix seconds at which Kafka received its last event; empty
    when it never did), `asked` and `accepted` (orders sent by the load, and answered with 201), `refused` (answered
    otherwise), `began`, `killed` and `ended` (of the fault, unix seconds), `removed` (whether payment-service or
    order-service had to join its group again), `runtime`, `attempt`.
    """
    user = f"user-{uuid.uuid4().hex[:12]}"
    body = {"userId": user, "items": ITEMS}
    url = f"{env[ORDERS].url}/orders"
    orders = Stream("orders", url, rate=RATE, method="POST", body=body)
    broker = env[BROKER]
    with Load(orders, seconds=RESTART_SECONDS, seed=env.seed) as load:
        load.until(seconds)
        with broker.paused() as fault:
            load.until(seconds + paused)
            with broker.killed() as death:
                pass  # and at once it is started again
        load.end_in(seconds)
    status = load.samples["status"]
    return _fates(env, user).assign(
        asked=len(status),
        accepted=int((status == 201).sum()),
        refused=int((~status.isin([0, 201])).sum()),
        began=fault.began,
        killed=death.began,
        ended=death.ended,
        removed=_removed(env, since=fault.began),
        runtime=env.runtime,
        attempt=1,
    )


def _removed(env: Environment, *, since: float) -> bool:
    """Return whether a group on an order's way has, by the services' logs, removed a replica since that moment."""
    logs = [env[service].logs(LINES).splitlines() for service in (PAYMENTS, ORDERS)]
    lines = [line for log in logs for line in log if REMOVED in line]
    times = [pd.Timestamp(fields_of(line)["time"]).timestamp() for line in lines]
    return any(time >= since for time in times)


def _fates(env: Environment, user: str) -> pd.DataFrame:
    """Return the outcome of each order of a user.

    Events leave in the order of commits: once the event of the last order is published, no earlier one is to come.
    """
    placed = all_orders(env).query("user == @user").sort_values("created")["order"]
    follow(env, CREATED, placed.tail(1), by="order", seconds=DONE_SECONDS)
    published = read_events(env, CREATED)["order"].value_counts()
    known = [order for order in placed if order in published]
    done = follow(env, CONFIRMED, known, by="order", seconds=DONE_SECONDS)
    ended = done.drop_duplicates("order").set_index("order")["time"].astype(float)
    orders = all_orders(env).query("user == @user").drop(columns="user").reset_index(drop=True)
    return orders.assign(
        published=orders["order"].map(published).fillna(0).astype(int),
        done=orders["order"].map(ended),
    )


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Count exactly: no event of an accepted order is missing, whatever else is in doubt.

    Policy: every attempt, since a lost event is lost on any machine. Orders that are done too late may be the machine's
    doing, and are a failure when they are seen twice; none is done before its time. In doubt are moments with too few
    orders, and attempts in which orders were not answered at all.
    """
    attempts = list(each_attempt(samples))
    checks: list[Callable[[pd.DataFrame], Finding]] = [_all_there, _none_refused, _all_completed]
    cases = [
        Case(f"orders placed {moment}", [_published(part, moment) for part in attempts])
        for moment in prediction["moment"]
    ]
    cases += [Case("", [check(part) for part in attempts]) for check in checks]
    cases.append(Case("", [seen_twice([_done_in_time(part, prediction) for part in attempts])]))
    details = {"attempts": [_summary(part, prediction["moment"]) for part in attempts]}
    return verdict(__name__, JUDGED, cases, every_attempt, details=details)


def _published(orders: pd.DataFrame, moment: str) -> Finding:
    of_moment = orders[_moments(orders) == moment]
    if (of_moment["published"] == 0).any():
        return failure("events missing")
    return SETTLED if len(of_moment) >= ENOUGH else doubt("too few")


def _all_there(orders: pd.DataFrame) -> Finding:
    there = len(orders) >= orders["accepted"].iloc[0]
    return SETTLED if there else failure("accepted orders are not there")


def _none_refused(orders: pd.DataFrame) -> Finding:
    asked, accepted, refused = (orders[n].iloc[0] for n in ("asked", "accepted", "refused"))
    if refused:
        return failure("orders were refused")
    return SETTLED if accepted >= asked else doubt("orders were not answered")


def _all_completed(orders: pd.DataFrame) -> Finding:
    if ((orders["published"] > 0) & (orders["status"] != "completed")).any():
        return failure("orders were never completed: a service did not come back by itself")
    return SETTLED


def _done_in_time(orders: pd.DataFrame, prediction: pd.DataFrame) -> Finding:
    """Compare when the orders that were placed while the broker was away are done with the predicted time."""
    after = _done_after(orders)
    if pd.isna(after):
        return doubt("no order of that time was done")
    removed = bool(orders["removed"].iloc[0])
    expected = float(prediction["removed" if removed else "kept"].max())
    if after > expected + _allowed(orders):
        return failure("orders were done later than predicted")
    if removed and after < expected - EARLY:
        return failure("orders were done before the former members' session timeout", certain=True)
    return SETTLED


def _allowed(orders: pd.DataFrame) -> float:
    started = orders["ended"].iloc[0] - orders["killed"].iloc[0]
    return float(ALLOWANCE + OF_THE_START * started)


def _done_after(orders: pd.DataFrame) -> float:
    """Return the median seconds from the broker's return until an order that was placed meanwhile is done.

    (An order that was paid before the fault, and waits for its confirmation alone, is done sooner.)
    """
    waited = orders["created"].between(orders["began"], orders["ended"])
    return float((orders["done"] - orders["ended"])[waited].median())


def _summary(orders: pd.DataFrame, moments: pd.Series[str]) -> dict[str, Any]:
    placed = _moments(orders).value_counts()
    return {
        "placed": {moment: int(placed.get(moment, 0)) for moment in moments},
        "missing": int((orders["published"] == 0).sum()),
        "removed": bool(orders["removed"].iloc[0]),
        "done_after": _done_after(orders),
        "last_done": float((orders["done"] - orders["ended"]).max()),
    }


def _moments(orders: pd.DataFrame) -> pd.Series[str]:
    """Return when each order was placed: before the broker hung, while it was away, or after."""
    moments = pd.Series(AWAY, index=orders.index)
    moments[orders["created"] < orders["began"]] = BEFORE
    moments[orders["created"] > orders["ended"]] = AFTER
    return moments


def evidence(samples: pd.DataFrame, prediction: pd.DataFrame) -> Counterexample | None:
    """Return an accepted order whose event is missing, or that was never completed."""
    published = samples["published"] > 0
    return first_order(
        samples,
        {
            "an accepted order whose event is missing": ~published,
            "an order that was never completed": published & (samples["status"] != "completed"),
        },
    )


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw orders accepted and done so far, over the time in which the broker is away; the latest attempt."""
    last = samples[samples["attempt"] == samples["attempt"].max()].sort_values("created")
    missing = int((last["published"] == 0).sum())
    figure, (ax,) = canvas(
        f"{missing} of {len(last)} events lost; orders that waited were done "
        f"{_done_after(last):.1f} s after the return",
        runtime=last["runtime"].iloc[0],
        note=REJOINED if last["removed"].iloc[0] else KEPT,
        height=4.4,
    )
    began = last["began"].iloc[0]
    created = (last["created"] - began).to_numpy()
    done = (last["done"] - began).dropna().sort_values().to_numpy()
    killed, ended = (last[moment].iloc[0] - began for moment in ("killed", "ended"))
    for since, until, text in ((0.0, killed, "hangs"), (killed, ended, "is dead, and starts")):
        ax.axvspan(since, until, **FAULT)
        name_fault(ax, since, until, text)
    ax.axvline(killed, color="white", linewidth=1.5, zorder=0.6)
    style: dict[str, Any] = {"where": "post"}
    ax.step(created, range(1, len(created) + 1), color=ORANGE, label="accepted", **style)
    ax.step(done, range(1, len(done) + 1), color=BLUE, label="done", **style)
    wait = float(prediction["removed" if last["removed"].iloc[0] else "kept"].max())
    at = _predicted(created, last, wait)
    ax.plot(at, range(1, len(created) + 1), label="done, predicted", **PREDICTION)
    bound = _predicted(created, last, wait + _allowed(last))
    dotted: dict[str, Any] = {"color": SOFT, "linestyle": "dotted", "label": "bound"}
    ax.plot(bound, range(1, len(created) + 1), **dotted)
    ax.set_ylim(0, None)
    ax.set_xlabel("time since the broker hangs (s)")
    ax.set_ylabel("orders so far (count)")
    legend(figure, ax)
    return figure


def _predicted(created: Any, orders: pd.DataFrame, seconds: float) -> list[float]:
    """Return when each order is done: as it is placed, or so many seconds after the broker is back."""
    back = orders["ended"].iloc[0] - orders["began"].iloc[0] + seconds
    return [moment if moment < 0 else max(moment, back) for moment in created]
