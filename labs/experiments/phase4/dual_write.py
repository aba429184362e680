"""Dual write."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.experiments.phase4.events import follow, read_events
from labs.experiments.phase4.orders import all_orders, place
from labs.figures import BLUE, INK, PREDICTION, VERMILLION, canvas, legend, styled
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "What becomes of an order whose service dies between its commit and its event?"

THEORY = (
    "Who commits first and tells afterwards loses what is committed and not yet told when "
    "it is killed: with k kills, each on m such orders, k x m. An event in the outbox is "
    "committed with its order, and is told by whoever comes after."
)

SERVICE, BROKER = "order-service", "kafka"

TOLD, DONE = "order-created", "order-confirmed"
"""The topics of an order's first event, and of its last."""

OFF, ON = "off", "on"

BEFORE, GAP, AFTER = "before", "in the gap", "after"
"""When an order was placed: the gap is between a commit and its event, and the kill falls into it."""

DONE_SECONDS = 20.0
"""How long orders may take to be done once everything is back."""

JUDGED = (
    "orders whose service is killed between their commit and their event stay pending for ever "
    "without the outbox, exactly those, and none with it"
)


def predict(*, kills: int = 1, orders: int = 3) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `outbox`, `moment`, `orders` (placed), `stuck` (of these, for ever pending).
    """
    placed = kills * orders
    rows = [
        (outbox, moment, placed, placed if (outbox, moment) == (OFF, GAP) else 0)
        for outbox in (OFF, ON)
        for moment in (BEFORE, GAP, AFTER)
    ]
    return pd.DataFrame(rows, columns=["outbox", "moment", "orders", "stuck"])


def measure(env: Environment, *, kills: int = 1, orders: int = 3) -> pd.DataFrame:
    """Without the outbox and then with it: kill the broker, so that nothing can be told, place
    orders, which are accepted all the same, and kill order-service; then let both come back. (A
    broker that is only paused would hide the loss: what was sent waits in its socket.) Leaves the
    outbox on.

    One row per order. Columns: `outbox`, `kill` (its number, from 1), `moment`, `order`, `told`
    (its events in the topic), `status` (in the end, by order-service), `settled` (whether those
    placed after it were done, which are told later), `runtime`, `attempt`.
    """
    rows: list[dict[str, Any]] = []
    for outbox in (OFF, ON):
        env.configure(SERVICE, OUTBOX=outbox)
        for kill in range(1, kills + 1):
            placed = {BEFORE: _done(env, place(env, orders))}
            # The broker comes back first: without it order-service is never ready.
            with ExitStack() as service, env[BROKER].killed():
                placed[GAP] = place(env, orders)
                service.enter_context(env[SERVICE].killed())
            placed[AFTER] = place(env, orders)
            rows += [{"outbox": outbox, "kill": kill, **row} for row in _fates(env, placed)]
    return pd.DataFrame(rows).assign(runtime=env.runtime, attempt=1)


def _done(env: Environment, orders: list[str]) -> list[str]:
    """The orders, once they are done."""
    follow(env, DONE, orders, by="order", seconds=DONE_SECONDS)
    return orders


def _fates(env: Environment, placed: dict[str, list[str]]) -> list[dict[str, Any]]:
    """What became of each order. The outbox keeps the order of commits: once those of `AFTER` are
    told and done, whatever could be told of the others was."""
    seen = follow(env, DONE, placed[AFTER], by="order", seconds=DONE_SECONDS)
    settled = set(placed[AFTER]) <= set(seen["order"])
    told = read_events(env, TOLD)["order"].value_counts()
    _done(env, [order for orders in placed.values() for order in orders if order in told])
    status = all_orders(env).set_index("order")["status"]
    return [
        {
            "moment": moment,
            "order": order,
            "told": int(told.get(order, 0)),
            "status": status.get(order, "missing"),
            "settled": settled,
        }
        for moment, orders in placed.items()
        for order in orders
    ]


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Exact, order by order.

    Inconclusive where the kill did not fall into the gap (the events were told all the same), and
    where orders that were told are not done in time.
    """
    failures, doubts, details = [], [], []
    for expected in prediction.to_dict("records"):
        mine = _of(samples, expected["outbox"], expected["moment"])
        name = f"OUTBOX={expected['outbox']}, {expected['moment']}"
        lost = mine["settled"] & (mine["told"] == 0)
        missing = mine["status"] == "missing"
        details.append({"name": name, "orders": len(mine), "lost": int(lost.sum())})
        if missing.any():
            failures.append(f"{name}: an accepted order is not there")
        if expected["stuck"]:
            if not (lost & (mine["status"] == "pending")).any():
                doubts.append(f"{name}: nothing was lost, so the kill never fell into the gap")
            elif not (lost & (mine["status"] == "pending")).all():
                doubts.append(f"{name}: some events were told before the kill")
        elif lost.any():
            failures.append(f"{name}: orders were never told of, and stay pending")
        if len(mine) < expected["orders"]:
            doubts.append(f"{name}: not measured")
        if not mine["settled"].all() or ((mine["told"] > 0) & (mine["status"] == "pending")).any():
            doubts.append(f"{name}: orders were not done in time")
    return Verdict.of(
        __name__, JUDGED, failures=failures, doubts=doubts, details={"orders": details}
    )


def _of(samples: pd.DataFrame, outbox: str, moment: str) -> pd.DataFrame:
    """The orders of one setting and moment, of the last attempt."""
    last = samples["attempt"] == samples["attempt"].max()
    found: pd.DataFrame = samples[
        last & (samples["outbox"] == outbox) & (samples["moment"] == moment)
    ]
    return found


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Orders by when they were placed, done and stuck; how many are predicted to be stuck, dashed."""
    figure, (ax,) = canvas(
        "Orders whose service died between the commit and the event",
        runtime=samples["runtime"].iloc[0],
        note="while the broker was dead",
        height=3.8,
    )
    ticks = []
    for x, expected in enumerate(prediction.to_dict("records")):
        mine = _of(samples, expected["outbox"], expected["moment"])
        stuck = int((mine["status"] != "completed").sum())
        ax.bar(x, len(mine) - stuck, width=0.6, color=BLUE, label="completed" if x == 0 else None)
        style: dict[str, Any] = {"bottom": len(mine) - stuck, "width": 0.6, "color": VERMILLION}
        ax.bar(x, stuck, label="pending for ever" if x == 0 else None, **style)
        edge = expected["orders"] - expected["stuck"]
        label = "completed, predicted" if x == 0 else None
        ax.plot([x - 0.42, x + 0.42], [edge] * 2, label=label, **PREDICTION)
        ticks.append(expected["moment"])
    _name_settings(ax, prediction["outbox"])
    ax.set_xticks(range(len(ticks)), ticks)
    most = int(prediction["orders"].max())
    ax.set_yticks(range(0, most + 1, max(1, most // 6)))
    ax.set_ylim(0, 1.25 * most)
    ax.set_ylabel("orders (count)")
    legend(figure, ax)
    return figure


def _name_settings(ax: Any, outbox: Iterable[str]) -> None:
    """Write over each group of bars which setting it is."""
    groups = pd.Series(list(outbox))
    for setting, where in groups.groupby(groups).groups.items():
        style: dict[str, Any] = {"ha": "center", "va": "top", "size": 10, "color": INK}
        x = sum(where) / len(where)
        ax.text(x, 0.97, f"OUTBOX={setting}", transform=ax.get_xaxis_transform(), **style)
