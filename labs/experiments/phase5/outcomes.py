"""Outcomes: how many orders, and which ones, end in which way, on one replica of each participant and on several."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.evidence import Counterexample, first_order
from labs.experiments.phase4.orders import get
from labs.experiments.phase5 import coin
from labs.experiments.phase5.names import (
    COMPLETED,
    DEADLINE,
    INVENTORY,
    INVENTORY_FAILED,
    OUTCOMES,
    PARTICIPANTS,
    PAYMENT_FAILED,
)
from labs.experiments.phase5.orders import PRODUCT, place, read_outcomes
from labs.experiments.phase5.rest import wait_for_rest
from labs.figures import BLUE, GREEN, PREDICTION, VERMILLION, canvas, legend, styled
from labs.guessing import Guess, within_points
from labs.judging import SETTLED, Case, Finding, doubt, failure, latest, plural, verdict
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Which orders are completed, and which are cancelled for which reason?"

THEORY = (
    "A step fails when a number that is made of the seed, the order's id and the step's name is below the failure "
    "rate. So each order's end is known before it is placed: with rates p and q a share (1 - p)(1 - q) is completed, "
    "p fails at the payment, and (1 - p) q at the inventory, on any number of replicas."
)

SHARES = {
    COMPLETED: (1 - coin.PAYMENT_RATE) * (1 - coin.INVENTORY_RATE),
    PAYMENT_FAILED: coin.PAYMENT_RATE,
    INVENTORY_FAILED: (1 - coin.PAYMENT_RATE) * coin.INVENTORY_RATE,
}
"""The shares of the three outcomes in the long run."""

ORIGINAL = {COMPLETED: 0.70, PAYMENT_FAILED: 0.30, INVENTORY_FAILED: 0.06}
"""What the original course printed: together more than all orders."""

DEVIATIONS = 1.96
"""Standard deviations on either side of a share, within which 95 of 100 samples lie."""

FEWEST = 20
"""Orders of each outcome that a case needs."""

REST_SECONDS, SLOWEST = 30.0, 20.0
"""Longest wait for the rest of a few orders, and the least number of orders that a machine ends per second."""

JUDGED = (
    "every acknowledged order ends as the coin says, order by order, on one replica of each participant and on "
    "several: exact"
)

COLOURS = (BLUE, GREEN)

GUESSES = {
    "completed": Guess(
        "A card is refused in 30 % of the orders, and an item is not found in 20 % of the rest. Which "
        "share of all orders is completed?",
        "%",
        measured=lambda samples: 100 * (samples["outcome"] == "completed").mean(),
        right=within_points(6),
        reference=56,
        theory=lambda prediction: 100 * (prediction["outcome"] == "completed").mean(),
    ),
}


def predict(
    *, orders: int = 300, replicas: Sequence[int] = (1, 3), seed: int = 7, user: str = "user"
) -> pd.DataFrame:
    """Return `THEORY` as numbers: a row per order, which user `user`-1 places on 1 replica, `user`-3 on 3.

    Columns: `replicas`, `key`, `order` (its id), `outcome`.
    """
    rows = []
    for count in replicas:
        for key in _keys(orders):
            order = coin.order_id(seed=seed, user=f"{user}-{count}", key=key)
            outcome = coin.outcome_of(order, seed=seed)
            rows.append({"replicas": count, "key": key, "order": order, "outcome": outcome})
    return pd.DataFrame(rows)


def _keys(orders: int) -> Iterator[str]:
    return (f"k{number}" for number in range(orders))


def measure(
    env: Environment, *, orders: int = 300, replicas: Sequence[int] = (1, 3), user: str = "user"
) -> pd.DataFrame:
    """Place orders on each number of replicas, and read how each ended once the system is at rest.

    Each participant gets that many replicas, and as many as before at the end. An order that was placed before, by an
    earlier attempt, is not placed again: its key is the same.

    One row per order. Columns: `replicas`, `key`, `order` (empty when it was not acknowledged), `outcome` (the status
    of one that has not ended, or is missing), `shelf` (items that were left before), `resting` (whether the system was
    at rest), `runtime`, `attempt`.
    """
    rows: list[dict[str, Any]] = []
    for count in replicas:
        with _scaled(env, count):
            stock = get(env, INVENTORY, "/stock").get(PRODUCT, {"onHand": 0, "reserved": 0})
            placed = place(env, _keys(orders), user=f"{user}-{count}")
            resting = wait_for_rest(env, seconds=REST_SECONDS + orders / SLOWEST)
        outcomes = read_outcomes(env)
        rows += [
            {
                "replicas": count,
                "key": key,
                "order": placed.get(key, ""),
                "outcome": outcomes.get(placed.get(key, ""), "missing"),
                "shelf": stock["onHand"] - stock["reserved"],
                "resting": resting,
            }
            for key in _keys(orders)
        ]
    return pd.DataFrame(rows).assign(runtime=env.runtime, attempt=1)


@contextmanager
def _scaled(env: Environment, count: int) -> Iterator[None]:
    """Give each participant this number of replicas, and at the end of the block as many as before."""
    before = {service: len(env[service].replicas) for service in PARTICIPANTS}
    try:
        for service in PARTICIPANTS:
            if before[service] != count:
                env.scale(service, count)
        yield
    finally:
        for service in PARTICIPANTS:
            if before[service] != count:
                env.scale(service, before[service])


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare order by order.

    Policy: the latest attempt, which asks for the same orders again: what had not ended may have ended since. A
    deadline that ended an order stays, and a shelf that was too small, so that another attempt cannot settle these.
    """
    last = _last(samples)
    cases = []
    both = _compared(last, prediction)
    kinds = prediction[["replicas", "outcome"]].drop_duplicates().to_dict("records")
    for kind in kinds:
        orders = both[(both["replicas"] == kind["replicas"]) & (both["outcome"] == kind["outcome"])]
        name = f"{plural(kind['replicas'], 'replica')}, {kind['outcome']}"
        cases.append(Case(name, [_as_predicted(orders)], {"orders": len(orders)}))
    lasting = (last["outcome"] == DEADLINE).any() or last["short"].any()
    details = {"counts": _counts(last)}
    return verdict(__name__, JUDGED, cases, latest, details=details, extend=not lasting)


def _last(samples: pd.DataFrame) -> pd.DataFrame:
    """Return the orders of the latest attempt, and whether the shelf was too `short` for all of them."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    placed = last.groupby("replicas")["key"].transform("size")
    return pd.DataFrame(last.assign(short=last["shelf"] < placed))


def _compared(last: pd.DataFrame, prediction: pd.DataFrame) -> pd.DataFrame:
    """Return the predicted orders, each with what was seen of it."""
    return prediction.merge(last, on=["replicas", "key"], how="left", suffixes=("", "_seen"))


def _as_predicted(orders: pd.DataFrame) -> Finding:
    known = orders["order_seen"].fillna("") != ""
    if (orders["order_seen"] != orders["order"])[known].any():
        return failure("an order has another id than predicted")
    if (orders["outcome_seen"] == "missing")[known].any():
        return failure("an accepted order is not there")
    ended = orders["outcome_seen"].isin(OUTCOMES)
    short = orders["short"].fillna(False).astype(bool)  # then the shelf may have decided
    if (ended & (orders["outcome_seen"] != orders["outcome"]) & ~short).any():
        return failure("orders ended otherwise than the coin says")
    cancelled = known & (orders["outcome_seen"] == "cancelled")
    if orders.loc[cancelled, "resting"].any():
        return failure("orders were cancelled without an event that gives the reason")
    if not known.all():
        return doubt("not every order was acknowledged")
    if short.any():
        return doubt("the shelf held fewer items than there were orders")
    if (orders["outcome_seen"] == DEADLINE).any():
        return doubt("a deadline ended orders although every service ran")
    if not orders["resting"].all() or not ended.all():
        return doubt("not every order had ended in time")
    if len(orders) < FEWEST:
        return doubt("too few orders with this outcome")
    return SETTLED


def _counts(samples: pd.DataFrame) -> list[dict[Any, Any]]:
    counts = samples.groupby(["replicas", "outcome"]).size().rename("orders")
    return counts.reset_index().to_dict("records")


def evidence(samples: pd.DataFrame, prediction: pd.DataFrame) -> Counterexample | None:
    """Return an order that ended otherwise than the coin says, or that is not there."""
    orders = _compared(_last(samples), prediction)
    ended = orders["outcome_seen"].isin(OUTCOMES) & ~orders["short"].fillna(False).astype(bool)
    return first_order(
        orders,
        {
            "an order with another id than predicted": orders["order_seen"] != orders["order"],
            "an accepted order that is not there": orders["outcome_seen"] == "missing",
            "an order that ended otherwise than the coin says": ended
            & (orders["outcome_seen"] != orders["outcome"]),
            "an order that was cancelled without a reason": (orders["outcome_seen"] == "cancelled")
            & orders["resting"].fillna(False).astype(bool),
        },
        column="order_seen",
    )


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the outcomes' shares in the latest attempt, with the coin's, the binomial band and the original's claim."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    counts = sorted(set(prediction["replicas"]))
    orders = int(prediction.groupby("replicas").size().min())
    figure, (ax,) = canvas(
        _title(last, prediction),
        runtime=last["runtime"].iloc[0],
        note=f"{orders:,} orders each",
        height=4.2,
    )
    width = 0.7 / len(counts)
    for index, count in enumerate(counts):
        shift = (index - (len(counts) - 1) / 2) * width
        mine = last.loc[last["replicas"] == count, "outcome"]
        expected = prediction.loc[prediction["replicas"] == count, "outcome"]
        for x, outcome in enumerate(OUTCOMES):
            name = plural(count, "replica") if x == 0 else None
            height = float((mine == outcome).mean())
            colour = COLOURS[index % len(COLOURS)]
            ax.bar(x + shift, height, width=0.9 * width, color=colour, alpha=0.75, label=name)
            number = f"{(mine == outcome).sum():,}"
            ax.text(x + shift, 0.012, number, ha="center", va="bottom", size=8.5, color="white")
            edges = [x + shift - width / 2, x + shift + width / 2]
            label = "predicted by the coin" if index == x == 0 else None
            ax.plot(edges, [float((expected == outcome).mean())] * 2, label=label, **PREDICTION)
    _draw_long_run(ax, orders)
    ax.set_xticks(range(len(OUTCOMES)), OUTCOMES)
    ax.set_ylim(0, 0.85)
    ax.set_ylabel("share of the orders (1)")
    legend(figure, ax)
    return figure


def _title(last: pd.DataFrame, prediction: pd.DataFrame) -> str:
    both = prediction.merge(last, on=["replicas", "key"], suffixes=("", "_seen"))
    right = int((both["outcome"] == both["outcome_seen"]).sum())
    return f"{right:,} of {len(prediction):,} orders ended as the coin says"


def _draw_long_run(ax: Axes, orders: int) -> None:
    """Draw where 95 of 100 samples of this size lie, and the original's numbers."""
    for x, outcome in enumerate(OUTCOMES):
        share = SHARES[outcome]
        band = DEVIATIONS * math.sqrt(share * (1 - share) / orders)
        label = "95 % of samples" if x == 0 else None
        style: dict[str, Any] = {"color": "black", "capsize": 4, "linewidth": 1.2, "label": label}
        ax.errorbar(x, share, yerr=band, fmt="none", **style)
        label = "the original's claim" if x == 0 else None
        ax.plot([x], [ORIGINAL[outcome]], "D", ms=7, color=VERMILLION, label=label)


def shares(prediction: pd.DataFrame) -> pd.DataFrame:
    """Return how many of the predicted orders have each outcome: a row per number of replicas."""
    counts = prediction.groupby("replicas")["outcome"].value_counts().unstack()
    return counts[[outcome for outcome in OUTCOMES if outcome in counts]]
