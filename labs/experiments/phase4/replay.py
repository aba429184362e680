"""Replay."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from labs.experiments.phase4.events import follow
from labs.experiments.phase4.orders import drained, get, place
from labs.figures import BLUE, PREDICTION, SKY, canvas, legend, styled
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Does a new reader, which begins at the start of the log, build the same view?"

THEORY = (
    "A view is a function of the log. Who forgets it, and reads the log again from the "
    "start, has the same one: each number is 1 times what it was."
)

SERVICE, GROUP = "analytics-service", "analytics-service-group"

LAST = "order-confirmed"
"""The topic of an order's last event that the view counts."""

ORDERS, SUCCESSFUL, REVENUE = "orderCount", "successfulOrders", "totalRevenue"

FIELDS = (ORDERS, SUCCESSFUL, "failedOrders", REVENUE, "successRate", "ordersPerMinute")
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
    """Place orders, and look at analytics-service's view once all are done; have it begin with
    nothing, set its group to the start of each topic, and look again when it has read them all.

    One row per number of the view and moment. Columns: `moment`, `field`, `value` (empty where
    there is none), `drained` (whether the group had read all then), `runtime`, `attempt`.
    """
    placed = place(env, orders)
    done = len(follow(env, LAST, placed, by="order", seconds=DONE_SECONDS)) >= orders
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
    """Identical, number by number.

    Inconclusive where the service had not read all events before or after, where there were none,
    or where the view was not empty when the replay began: then nothing shows that it was built anew.
    """
    times = prediction.set_index("field")["times"]
    failures, doubtful, details = [], [], []
    for _, mine in samples.groupby("attempt"):
        view = _view(mine)
        details.append(view.astype(object).where(view.notna(), None).to_dict("index"))
        same = (view[AFTER] == times * view[BEFORE]) | view[[BEFORE, AFTER]].isna().all(axis=1)
        read = mine.loc[mine["moment"] != EMPTY, "drained"].all()
        failures += [f"{field}: not what it was" for field in view.index[~same] if read]
        doubtful.append(["not every event was read in time"] * (not read))
        doubtful[-1] += ["there were no orders to count"] * bool(view.loc[ORDERS, BEFORE] == 0)
        if view.loc[ORDERS, EMPTY] != 0:
            doubtful[-1].append("the view was not empty when the replay began")
    return Verdict.of(
        __name__,
        JUDGED,
        failures=dict.fromkeys(failures),
        doubts=[] if [] in doubtful else doubtful[-1],
        details={"views": details},
    )


def _view(samples: pd.DataFrame) -> pd.DataFrame:
    """A row per number of the view, a column per moment."""
    return samples.pivot_table(
        index="field", columns="moment", values="value", dropna=False, aggfunc="last"
    ).reindex(FIELDS)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Each number after the replay, and of the empty view before it, in what it had been."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    view = _view(last)
    orders = float(view[BEFORE].to_dict()[ORDERS])
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
    """Values in what they were before; a number that was 0 and still is has not changed."""
    same = values == before
    return np.where(same, 1.0, values.fillna(0) / before.where(before != 0, np.nan).fillna(1))
