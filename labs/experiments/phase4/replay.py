"""Replay: a view that is built again from the log."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from labs.experiments.phase4.events import follow
from labs.experiments.phase4.names import CONFIRMED
from labs.experiments.phase4.orders import drained, get, place
from labs.figures import BLUE, PREDICTION, SKY, canvas, legend, styled
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
    "from the start, gets the same view: each number is 1 times its former value."
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

BEFORE, EMPTY, AFTER = "before", "a new reader", "after the replay"

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
    `drained` (whether the group had read all events then), `runtime`, `attempt`.
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
    return pd.DataFrame(rows).assign(runtime=env.runtime, attempt=1)


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
    before, after = (float(view[moment].to_dict()[field]) for moment in (BEFORE, AFTER))
    if not part.loc[part["moment"] != EMPTY, "drained"].all():
        return doubt("not every event was read in time")
    if after != times * before and not (np.isnan(before) and np.isnan(after)):
        return failure(f"{field}: not what it was")
    if view[BEFORE][ORDER_COUNT] == 0:
        return doubt("there were no orders to count")
    if view[EMPTY][ORDER_COUNT] != 0:
        return doubt("the view was not empty when the replay began")
    return SETTLED


def _view(samples: pd.DataFrame) -> pd.DataFrame:
    """Return a row per number of the view, a column per moment."""
    return samples.pivot_table(
        index="field", columns="moment", values="value", dropna=False, aggfunc="last"
    ).reindex(FIELDS)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw each number after the replay, and of the empty view before it, in what it had been; the latest attempt."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    view = _view(last)
    orders = float(view[BEFORE].to_dict()[ORDER_COUNT])
    figure, (ax,) = canvas(
        "The view of a reader that begins at the start",
        runtime=last["runtime"].iloc[0],
        note=f"{orders:.0f} orders",
        height=3.8,
    )
    at = np.arange(len(FIELDS))
    for moment, colour, shift in ((EMPTY, SKY, -0.17), (AFTER, BLUE, 0.17)):
        times = _times(view[moment], view[BEFORE])
        if moment == EMPTY:  # where there had been nothing, nothing is no sign of sameness
            times = np.where(view[moment].fillna(0) == 0, 0.0, times)
        ax.bar(at + shift, times, width=0.3, color=colour, label=moment)
        values: list[float] = view[moment].to_list()
        for x, height, value in zip(at + shift, times, values, strict=True):
            ax.annotate(
                "none" if np.isnan(value) else f"{value:,.6g}",
                (x, height),
                xytext=(0, 5),
                textcoords="offset points",
                ha="center",
                size=8.5,
            )
    for x, times in zip(at, prediction["times"], strict=True):
        label = "predicted: what it was before" if x == 0 else None
        ax.plot([x - 0.42, x + 0.42], [times] * 2, label=label, **PREDICTION)
    ax.set_xticks(at, FIELDS)
    ax.set_ylim(0, 1.25 * max(1.0, float(np.nanmax(_times(view[AFTER], view[BEFORE])))))
    ax.set_ylabel("in what it was before (1)")
    legend(figure, ax)
    return figure


def _times(values: pd.Series[float], before: pd.Series[float]) -> np.ndarray[Any, Any]:
    """Return values in what they were before; a number that was 0 and still is has not changed."""
    same = values == before
    return np.where(same, 1.0, values.fillna(0) / before.where(before != 0, np.nan).fillna(1))
