"""Dual write: orders whose service dies between the commit and the event, without the outbox and with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.evidence import Counterexample, first_order
from labs.experiments.phase4.events import follow, read_events
from labs.experiments.phase4.names import CONFIRMED, CREATED, ORDERS
from labs.experiments.phase4.orders import all_orders, place
from labs.figures import BLUE, INK, PREDICTION, VERMILLION, canvas, legend, styled
from labs.guessing import Guess, within_points
from labs.judging import SETTLED, Case, Finding, doubt, each_attempt, failure, latest, verdict
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Is an order completed whose service dies between its commit and its event?"

THEORY = (
    "A service that commits an order and publishes its event afterwards loses the event when it is "
    "killed in between: with k kills, each on m such orders, k x m. An event in the outbox is "
    "committed with its order, and the next replica publishes it."
)

BROKER = "kafka"

OFF, ON = "off", "on"

BEFORE, GAP, AFTER = "before", "in the gap", "after"
"""When an order was placed: the gap is between a commit and its event, and the kill falls into it."""

DONE_SECONDS = 30.0
"""How long orders may take to be done once everything is back."""

JUDGED = (
    "orders whose service is killed between their commit and their event stay pending for ever "
    "without the outbox, exactly those, and none with it"
)

GUESSES = {
    "lost": Guess(
        "order-service commits an order and publishes its event afterwards, without an outbox. It "
        "is killed between the two. Which share of the orders that are in this gap loses its event?",
        "%",
        measured=lambda samples: 100 * _lost(_of(samples, {"outbox": "off", "moment": GAP})).mean(),
        right=within_points(10),
        reference=100,
        theory=lambda prediction: 100 * _stuck_in_the_gap(prediction),
    ),
}


def predict(*, kills: int = 1, orders: int = 3) -> pd.DataFrame:
    """Return `THEORY` as numbers, for `kills` kills on `orders` orders of each moment.

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
    """Kill order-service on orders whose events cannot be published, without the outbox and then with it.

    The broker is killed first, so that no event can be published; orders are placed, which are accepted all the same,
    and order-service is killed; then both come back. (A broker that is only paused would hide the loss: what was sent
    waits in its socket.) Leaves the outbox on.

    One row per order. Columns: `outbox`, `kill` (its number, from 1), `moment`, `order`, `published` (its events in
    the topic), `status` (in the end, by order-service), `settled` (whether the orders placed after it were done, whose
    events are published later), `runtime`, `attempt`.
    """
    placed: dict[tuple[str, int], dict[str, list[str]]] = {}
    for outbox in (OFF, ON):
        env.configure(ORDERS, OUTBOX=outbox)
        for kill in range(1, kills + 1):
            moments = placed[outbox, kill] = {BEFORE: _published(env, place(env, orders))}
            # The broker comes back first: without it order-service is never ready.
            with ExitStack() as service, env[BROKER].killed():
                moments[GAP] = place(env, orders)
                service.enter_context(env[ORDERS].killed())
            moments[AFTER] = _published(env, place(env, orders))
    return _fates(env, placed).assign(runtime=env.runtime, attempt=1)


def _published(env: Environment, orders: list[str]) -> list[str]:
    """Return the orders, once their events are published."""
    follow(env, CREATED, orders, by="order", seconds=DONE_SECONDS)
    return orders


def _fates(env: Environment, placed: dict[tuple[str, int], dict[str, list[str]]]) -> pd.DataFrame:
    """Return the outcome of each order, by setting and kill.

    The outbox keeps the order of commits: once the orders of `AFTER` are done, no earlier event is to come.
    """
    every = [
        order for moments in placed.values() for orders in moments.values() for order in orders
    ]
    published = read_events(env, CREATED)["order"].value_counts()
    known = [order for order in every if order in published]
    done = set(follow(env, CONFIRMED, known, by="order", seconds=DONE_SECONDS)["order"])
    status = all_orders(env).set_index("order")["status"]
    rows: list[dict[str, Any]] = [
        {
            "outbox": outbox,
            "kill": kill,
            "moment": moment,
            "order": order,
            "published": int(published.get(order, 0)),
            "status": status.get(order, "missing"),
            "settled": done >= set(moments[AFTER]),
        }
        for (outbox, kill), moments in placed.items()
        for moment, orders in moments.items()
        for order in orders
    ]
    return pd.DataFrame(rows)


def _stuck_in_the_gap(prediction: pd.DataFrame) -> float:
    row = prediction[(prediction["outbox"] == "off") & (prediction["moment"] == GAP)].iloc[0]
    return float(row["stuck"] / row["orders"])


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Count exactly, order by order.

    Policy: the latest attempt, which repeats all moments in the same state; an earlier one is repeated only when the
    kill missed the gap or orders were not done in time, so that it holds no failure.
    """
    attempts = list(each_attempt(samples))
    cases = []
    for row in prediction.to_dict("records"):
        placed = [_of(part, row) for part in attempts]
        cases.append(
            Case(
                f"OUTBOX={row['outbox']}, {row['moment']}",
                [_fate(orders, row) for orders in placed],
                {"orders": len(placed[-1]), "lost": int(_lost(placed[-1]).sum())},
            )
        )
    return verdict(__name__, JUDGED, cases, latest)


def _fate(orders: pd.DataFrame, expected: Mapping[Any, Any]) -> Finding:
    pending = orders["status"] == "pending"
    lost = _lost(orders)
    if (orders["status"] == "missing").any():
        return failure("an accepted order is not there")
    if lost.any() and not expected["stuck"]:
        return failure("events were never published, and their orders stay pending")
    if len(orders) < expected["orders"]:
        return doubt("not measured")
    if not orders["settled"].all() or (pending & (orders["published"] > 0)).any():
        return doubt("orders were not done in time")
    if expected["stuck"] and not (lost & pending).any():
        return doubt("nothing was lost, so the kill never fell into the gap")
    if expected["stuck"] and not (lost & pending).all():
        return doubt("some events were published before the kill")
    return SETTLED


def _lost(orders: pd.DataFrame) -> pd.Series[bool]:
    return orders["settled"] & (orders["published"] == 0)


def _of(samples: pd.DataFrame, expected: Mapping[Any, Any]) -> pd.DataFrame:
    """Return the orders of one setting and moment."""
    same = (samples["outbox"] == expected["outbox"]) & (samples["moment"] == expected["moment"])
    orders: pd.DataFrame = samples[same]
    return orders


def evidence(samples: pd.DataFrame, prediction: pd.DataFrame) -> Counterexample | None:
    """Return an accepted order that is not there, or whose event was never published although it had to be."""
    last = list(each_attempt(samples))[-1]
    kept = pd.concat([_of(last, row) for row in prediction.to_dict("records") if not row["stuck"]])
    missing = {"an accepted order that order-service does not list": last["status"] == "missing"}
    lost = {"an order whose event was never published": _lost(kept)}
    return first_order(last, missing) or first_order(kept, lost)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw orders by when they were placed, done and stuck, in the latest attempt; the predicted split dashed."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    gap = last[last["moment"] == GAP]
    stuck = (gap["status"] != "completed").groupby(gap["outbox"]).sum()
    figure, (ax,) = canvas(
        f"Of {int((gap['outbox'] == OFF).sum())} orders in the gap {stuck.get(OFF, 0)} stay pending "
        f"without the outbox, {stuck.get(ON, 0)} with it",
        runtime=last["runtime"].iloc[0],
        note=f"{len(last)} orders",
        height=3.8,
    )
    ticks = []
    for x, expected in enumerate(prediction.to_dict("records")):
        orders = _of(last, expected)
        stuck = int((orders["status"] != "completed").sum())
        ax.bar(x, len(orders) - stuck, width=0.6, color=BLUE, label="completed" if x == 0 else None)
        style: dict[str, Any] = {"bottom": len(orders) - stuck, "width": 0.6, "color": VERMILLION}
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
    """Write the setting over each group of bars."""
    groups = pd.Series(list(outbox))
    for setting, where in groups.groupby(groups).groups.items():
        style: dict[str, Any] = {"ha": "center", "va": "top", "size": 10, "color": INK}
        x = sum(where) / len(where)
        ax.text(x, 0.97, f"OUTBOX={setting}", transform=ax.get_xaxis_transform(), **style)
