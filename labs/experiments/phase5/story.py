"""Story: the events of one order as a tree, each below the event that it follows from."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import pandas as pd

from environment.waiting import wait_until
from labs import story as stories
from labs.client import new_client
from labs.evidence import Counterexample, first_order
from labs.experiments.phase5 import coin, space_time
from labs.experiments.phase5.names import (
    COMPLETED,
    INVENTORY_FAILED,
    ORDERS,
    OUTCOMES,
    PAYMENT_FAILED,
)
from labs.experiments.phase5.orders import ITEMS, RESPONSE_SECONDS
from labs.experiments.phase5.rest import unread
from labs.figures import canvas, styled
from labs.guessing import EXACT, Guess
from labs.judging import (
    SETTLED,
    Case,
    Finding,
    doubt,
    each_attempt,
    every_attempt,
    failure,
    verdict,
)
from labs.published import read_published
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Which events does one order cause, and which of them causes which?"

THEORY = (
    "Each event names the event that it follows from, so that the events of an order are a tree with one root. A "
    "completed order has 4 of them and 3 hops from the first one to its end; one whose payment fails has 3 and 2, one "
    "whose items are not found 5 and 3: its refund comes beside the end. One request for a notification comes with "
    "each end. All of them carry the correlation id of the client's request, and one trace id."
)

EVENTS = {
    COMPLETED: ("OrderCreated", "PaymentCompleted", "InventoryReserved", "OrderConfirmed"),
    PAYMENT_FAILED: ("OrderCreated", "PaymentFailed", "OrderCancelled"),
    INVENTORY_FAILED: (
        *("OrderCreated", "PaymentCompleted", "InventoryFailed", "OrderCancelled"),
        "PaymentRefunded",
    ),
}
"""The events of an order by its outcome, without the notification."""

HOPS = {COMPLETED: 3, PAYMENT_FAILED: 2, INVENTORY_FAILED: 3}
"""Events from the first one to the end, the end included."""

ENDED_SECONDS = 20.0
"""Longest wait for the last events."""

CLOCK_SECONDS = 0.002
"""The times of two events are rounded to milliseconds."""

FEWEST = 3
"""Orders of each outcome."""

JUDGED = (
    "the events of every order are the predicted ones, below one root, with the client's correlation id and one trace "
    "id, and no cause is later than its effect: exact"
)

GUESSES = {
    "events": Guess(
        "How many events does a completed order cause, without the request for a notification?",
        "events",
        measured=lambda samples: _events_of(samples, "completed"),
        right=EXACT,
        reference=4,
        theory=lambda prediction: _events_of(prediction, "completed"),
    ),
    "events_of_failed": Guess(
        "And how many an order that was paid, and whose items are not found?",
        "events",
        measured=lambda samples: _events_of(samples, "inventory failed"),
        right=EXACT,
        reference=5,
        theory=lambda prediction: _events_of(prediction, "inventory failed"),
    ),
}


def predict() -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `outcome`, `events` (without the notification), `notifications`, `hops` (from the first event to the end),
    `types` (of the events, in the order of the alphabet).
    """
    rows = [
        {
            "outcome": outcome,
            "events": len(EVENTS[outcome]),
            "notifications": 1,
            "hops": HOPS[outcome],
            "types": _types(EVENTS[outcome]),
        }
        for outcome in OUTCOMES
    ]
    return pd.DataFrame(rows)


def _types(kinds: Any) -> str:
    return ", ".join(sorted(kinds))


def measure(env: Environment, *, orders: int = 5) -> pd.DataFrame:
    """Place so many orders of each outcome, each with a correlation id of its own, and read their complete stories.

    One row per order. Columns: `outcome` (by the coin), `order`, `events`, `notifications`, `hops`, `types`, `roots`
    (events without a cause), `orphans` (events whose cause is none of the order's), `correlations` and `traces` (how
    many ids), `own` (whether the correlation id is the client's), `reversed` (events that are earlier than their
    cause), `ended` (whether there is an end), `trace` (what is drawn, a step per line), `complete` (whether as many
    events as predicted came, and were read), `runtime`, `attempt`.
    """
    user = f"user-{uuid.uuid4().hex[:8]}"
    placed = {
        outcome: _place(env, islice(coin.keys_of(outcome, seed=env.seed, user=user), orders), user)
        for outcome in OUTCOMES
    }
    own_events, complete = _follow(env, placed)
    read = stories.readings(env, stories.tree(own_events)) if len(own_events) else None
    rows = [
        {
            "outcome": outcome,
            "order": order,
            **_row(own_events[own_events["order"] == order], correlation, read),
        }
        for outcome, ids in placed.items()
        for order, correlation in ids.items()
    ]
    return pd.DataFrame(rows).assign(complete=complete, runtime=env.runtime, attempt=1)


def _follow(env: Environment, placed: Mapping[str, Mapping[str, str]]) -> tuple[pd.DataFrame, bool]:
    """Return the events of these orders once all predicted ones are there and read, and whether they are."""
    expected = {order: len(EVENTS[outcome]) + 1 for outcome, ids in placed.items() for order in ids}
    own_events = pd.DataFrame()

    def complete() -> bool:
        nonlocal own_events
        published = read_published(env)
        own_events = published[published["order"].isin(expected)]
        counts = own_events["order"].value_counts()
        return all(counts.get(order, 0) >= n for order, n in expected.items()) and unread(env) == 0

    done = wait_until(complete, timeout=ENDED_SECONDS, every=0.25)
    return own_events, bool(done)


def _place(env: Environment, keys: Any, user: str) -> dict[str, str]:
    """Place orders, one after the other; return their ids, each with the correlation id that was sent."""
    url, body, placed = f"{env[ORDERS].url}/orders", {"userId": user, "items": ITEMS}, {}
    with new_client(RESPONSE_SECONDS) as client:
        for key in keys:
            headers = {"Idempotency-Key": key, "X-Correlation-Id": f"{user}-{key}"}
            response = client.post(url, json=body, headers=headers).raise_for_status()
            placed[response.json()["id"]] = headers["X-Correlation-Id"]
    return placed


def _row(events: pd.DataFrame, correlation: str, read: pd.DataFrame | None) -> dict[str, Any]:
    tree = stories.tree(events)
    own = tree[tree["type"] != stories.NOTIFICATION]
    at = dict(zip(tree["event"], tree["at"], strict=True))
    orphans = tree["cause"].notna() & ~tree["cause"].isin(tree["event"])
    ends = tree[tree["type"].isin(stories.ENDS)]
    return {
        "events": len(own),
        "notifications": len(tree) - len(own),
        "hops": int(ends["depth"].max()) if len(ends) else 0,
        "types": _types(own["type"]),
        "roots": int(tree["cause"].isna().sum()),
        "orphans": int(orphans.sum()),
        "correlations": tree["correlation"].nunique(),
        "traces": tree["trace"].nunique(),
        "own": set(tree["correlation"]) == {correlation},
        "reversed": sum(
            at.get(cause, 0) > moment + CLOCK_SECONDS
            for cause, moment in zip(tree["cause"], tree["at"], strict=True)
        ),
        "ended": len(ends) > 0,
        "trace": "\n".join(stories.trace_of(tree, read)) if read is not None else "",
    }


def _events_of(frame: pd.DataFrame, outcome: str) -> int:
    return int(frame.loc[frame["outcome"] == outcome, "events"].mode().iloc[0])


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare every number exactly.

    Policy: every attempt, since no machine makes a service lose the cause of an event. In doubt are orders that had
    not ended in time, and those that a deadline ended.
    """
    attempts = list(each_attempt(samples))
    cases = []
    for row in prediction.to_dict("records"):
        parts = [part[part["outcome"] == row["outcome"]] for part in attempts]
        details = {
            name: int(parts[-1][name].sum()) for name in ("events", "notifications", "orphans")
        }
        details["orders"] = len(parts[-1])
        cases.append(Case(row["outcome"], [_as_predicted(part, row) for part in parts], details))
    return verdict(__name__, JUDGED, cases, every_attempt)


def _as_predicted(orders: pd.DataFrame, expected: Mapping[Any, Any]) -> Finding:
    if (orders["roots"] > 1).any():
        return failure("an order has several events without a cause")
    if (orders["orphans"] > 0).any():
        return failure("an event follows from none of its order")
    if (orders["correlations"] > 1).any():
        return failure("the events of an order have several correlation ids")
    if (orders["traces"] > 1).any():
        return failure("the events of an order have several trace ids")
    if not orders["own"].all():
        return failure("the events carry another correlation id than the client sent")
    if (orders["reversed"] > 0).any():
        return failure("an event is earlier than its cause")
    if len(orders) < FEWEST or not orders["ended"].all():
        return doubt("too few orders had ended in time")
    if (orders["hops"] == 1).any():
        return doubt("a deadline ended orders although every service ran")
    if not orders["complete"].all() and (orders["events"] < expected["events"]).any():
        return doubt("not every event had come in time")
    if (orders["types"] != expected["types"]).any():
        return failure("an order has other events than predicted")
    if (orders["notifications"] != expected["notifications"]).any():
        return failure("not one request for a notification per order")
    if (orders["hops"] != expected["hops"]).any():
        return failure("an order has another number of hops than predicted")
    return SETTLED


def evidence(samples: pd.DataFrame, prediction: pd.DataFrame) -> Counterexample | None:
    """Return an order whose events are not the predicted ones, or do not belong together."""
    orders = samples.merge(prediction, on="outcome", suffixes=("", "_expected"))
    others = [
        orders[name] != orders[f"{name}_expected"] for name in ("types", "notifications", "hops")
    ]
    return first_order(
        orders,
        {
            "an order with several events without a cause": orders["roots"] > 1,
            "an order with an event that follows from none of its own": orders["orphans"] > 0,
            "an order whose events have several correlation ids": orders["correlations"] > 1,
            "an order whose events have several trace ids": orders["traces"] > 1,
            "an order whose events lack the client's correlation id": ~orders["own"].astype(bool),
            "an order with an event that is earlier than its cause": orders["reversed"] > 0,
            "an order with other events than predicted": others[0] | others[1] | others[2],
        },
    )


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the story of the first order of each outcome in the latest attempt, as a space-time diagram."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    orphans, roots = int(last["orphans"].sum()), int(last["roots"].sum())
    figure, axes = canvas(
        f"{len(last)} orders, {roots} trees of events, {orphans} events without their cause",
        runtime=last["runtime"].iloc[0],
        note="the first order of each outcome; equal steps, not equal times",
        rows=len(prediction),
        height=3.0 * len(prediction),
        share=False,
    )
    for ax, row in zip(axes, prediction.to_dict("records"), strict=True):
        orders = last[last["outcome"] == row["outcome"]]
        trace = str(orders["trace"].iloc[0]).splitlines() if len(orders) else []
        space_time.draw(ax, trace)
        events, hops = (
            f"{orders[name].median():g}" if len(orders) else "no" for name in ("events", "hops")
        )
        ax.set_title(
            f"{row['outcome']}: {events} events, {row['events']} predicted; "
            f"{hops} hops to the end, {row['hops']} predicted",
            size=9,
        )
    return figure
