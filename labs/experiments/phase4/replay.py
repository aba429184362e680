"""Replay: a view that is built again from the log."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from labs.experiments.phase4.events import follow, read_events
from labs.experiments.phase4.names import CONFIRMED, CREATED
from labs.experiments.phase4.orders import drained, get, place
from labs.figures import BLUE, FAINT, GREEN, INK, SOFT, VERMILLION, canvas, styled
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
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Does a new reader, which begins at the start of the log, build the same view?"

THEORY = (
    "A view is a function of the log. A reader that has lost its view, and reads the log again "
    "from the start, gets the same view: each number is 1 times its former value. That holds as long "
    "as the topic still has its first event: Kafka deletes events after the topic's retention, by "
    "default 7 days, or keeps only the last one of each key (compaction)."
)

SERVICE, GROUP = "analytics-service", "analytics-service-group"

ORDER_COUNT = "orderCount"

FIELDS = (
    ORDER_COUNT,
    "successfulOrders",
    "failedOrders",
    "totalRevenue",
    "successRate",
    "ordersPerMinute",
)
"""The numbers of the view."""

BEFORE, EMPTY, AFTER = "before", "emptied", "after"

COLUMNS = {BEFORE: 0.42, EMPTY: 0.58, AFTER: 0.74}
"""Where the numbers of each moment end, as a share of the figure's width."""

VERDICT = 0.8

DONE_SECONDS = 20.0

JUDGED = (
    "a new reader that reads every event from the start has the same view as the one that read "
    "them as they came: each number identical"
)


def predict() -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `field`, `times` (the number after the replay, in what it was before).
    """
    return pd.DataFrame({"field": FIELDS, "times": 1.0})


def measure(env: Environment, *, orders: int = 12) -> pd.DataFrame:
    """Read analytics-service's view once some orders are done, and again when it was built anew.

    In between analytics-service begins with an empty view, and its group is set to the start of each topic.

    One row per number of the view and moment. Columns: `moment`, `field`, `value` (empty where there is none),
    `drained` (whether the group had read all events then), `events` and `orders` (in the topic of new orders: an
    earlier experiment may have published the event of one order several times), `runtime`, `attempt`.
    """
    placed = place(env, orders)
    done = len(follow(env, CONFIRMED, placed, by="order", seconds=DONE_SECONDS)) >= orders
    rows = _look(env, BEFORE, read=drained(env, GROUP) and done)
    env.configure(SERVICE, DATA_DIR=f"/data/{uuid.uuid4().hex}")
    rows += _look(env, EMPTY, read=drained(env, GROUP))
    with env[SERVICE].stopped():
        for topic in sorted(set(env.kafka.lag(GROUP)["topic"])):
            env.kafka.reset(GROUP, topic, to="earliest")
    rows += _look(env, AFTER, read=drained(env, GROUP))
    created = read_events(env, CREATED)
    counts = {"events": created["event"].nunique(), "orders": created["order"].nunique()}
    return pd.DataFrame(rows).assign(**counts, runtime=env.runtime, attempt=1)


def _look(env: Environment, moment: str, *, read: bool) -> list[dict[str, Any]]:
    view = get(env, SERVICE, "/analytics")
    return [
        {
            "moment": moment,
            "field": field,
            "value": np.nan if view[field] is None else float(view[field]),
            "drained": read,
        }
        for field in FIELDS
    ]


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare the view number by number: identical.

    Policy: every attempt, since a view that differs differs on any machine. In doubt are attempts in which the
    service had not read all events before or after, in which there were none, or in which the view was not empty when
    the replay began: then nothing shows that it was built anew.
    """
    attempts = list(each_attempt(samples))
    cases = [
        Case("", [_same(part, row["field"], row["times"]) for part in attempts])
        for row in prediction.to_dict("records")
    ]
    views = [_view(part).astype(object) for part in attempts]
    details = {"views": [view.where(view.notna(), None).to_dict("index") for view in views]}
    return verdict(__name__, JUDGED, cases, every_attempt, details=details)


def _same(part: pd.DataFrame, field: str, times: float) -> Finding:
    view = _view(part)
    if not part.loc[part["moment"] != EMPTY, "drained"].all():
        return doubt("not every event was read in time")
    if not _equal(view, field, times):
        return failure(f"{field}: not what it was")
    if view[BEFORE][ORDER_COUNT] == 0:
        return doubt("there were no orders to count")
    if view[EMPTY][ORDER_COUNT] != 0:
        return doubt("the view was not empty when the replay began")
    return SETTLED


def _equal(view: pd.DataFrame, field: str, times: float) -> bool:
    before, after = (float(view[moment].to_dict()[field]) for moment in (BEFORE, AFTER))
    return after == times * before or (np.isnan(before) and np.isnan(after))


def _view(samples: pd.DataFrame) -> pd.DataFrame:
    """Return a row per number of the view, a column per moment."""
    return samples.pivot_table(
        index="field", columns="moment", values="value", dropna=False, aggfunc="last"
    ).reindex(FIELDS)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Show each number of the view before, emptied and after, and whether it is equal; of the latest attempt."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    view = _view(last)
    rows = prediction.to_dict("records")
    equal = [_equal(view, row["field"], row["times"]) for row in rows]
    events, orders = (int(last[name].iloc[0]) for name in ("events", "orders"))
    again = f", {events - orders} of them published again" if events > orders else ""
    figure, (ax,) = canvas(
        f"Read again from the start, {sum(equal)} of {len(rows)} numbers are what they were",
        runtime=last["runtime"].iloc[0],
        note=f"{events} events OrderCreated{again}: of {orders} orders",
        height=3.8,
    )
    ax.set_axis_off()
    ax.set_xlim(0, 1)
    ax.set_ylim(len(rows) - 0.4, -1.4)
    for moment, x in COLUMNS.items():
        ax.text(x, -0.9, moment, ha="right", weight="bold", color=INK)
    ax.text(VERDICT, -0.9, "predicted: equal", weight="bold", color=INK)
    for y, (row, same) in enumerate(zip(rows, equal, strict=True)):
        ax.axhline(y - 0.5, color=FAINT, linewidth=0.8)
        ax.text(0.02, y, row["field"], va="center")
        for moment, x in COLUMNS.items():
            colour = {BEFORE: INK, EMPTY: SOFT, AFTER: BLUE}[moment]
            text = _written(float(view[moment].to_dict()[row["field"]]))
            ax.text(x, y, text, ha="right", va="center", color=colour)
        text, colour = ("equal", GREEN) if same else ("not equal", VERMILLION)
        ax.text(VERDICT, y, text, va="center", weight="bold", color=colour)
    return figure


def _written(value: float) -> str:
    return "none" if np.isnan(value) else f"{value:,.2f}".removesuffix(".00")
