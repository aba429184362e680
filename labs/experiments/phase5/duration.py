"""Duration: how long a saga takes, from the work of its participants and the hops between them."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from environment.waiting import wait_until
from labs.experiments.phase5 import coin
from labs.experiments.phase5.names import (
    CANCELLED,
    COMPLETED,
    CONFIRMED,
    INVENTORY,
    INVENTORY_FAILED,
    ORDERS,
    OUTCOMES,
    PAYMENT_FAILED,
    PAYMENTS,
)
from labs.experiments.phase5.orders import ITEMS
from labs.figures import BLUE, PREDICTION, canvas, legend, styled
from labs.guessing import Guess, within_factor
from labs.judging import SETTLED, Case, Finding, doubt, each_attempt, failure, seen_twice, verdict
from labs.load.open_loop import Stream, run_load
from labs.published import read_published
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How long does a saga take, and what is the time made of?"

THEORY = (
    "A hop is the way of an event: commit, outbox, Kafka, and the next service's inbox. An order whose payment fails "
    "takes the payment's work s_p and two hops, which gives h, the time of a hop. Every other order takes s_p + s_i + "
    "3h: the work of both participants and one hop more."
)

PAYMENT_SECONDS, INVENTORY_SECONDS = 0.3, 0.2
"""The work of the two participants on each order."""

TOLERANCE = 0.15
"""A median may differ from the prediction by this share."""

LONGEST_HOP = 0.25
"""A median hop that takes longer shows a machine that is busy with other things."""

EARLY_SECONDS = 0.005
"""Event times are rounded to milliseconds, and a wait may end this much early."""

FEWEST = 8
"""Orders of each outcome."""

ENDED_SECONDS = 20.0
"""Longest wait for the last ends."""

DIFFERENCE = "completed - payment failed"
"""The case of the difference between the two medians, which is s_i + h."""

JUDGED = (
    "the medians of completed orders and of those without items are s_p + s_i + 3h within 15 %, with the hop h of "
    "orders whose payment failed; no saga is shorter than the work in it"
)

GUESSES = {
    "completed_ms": Guess(
        "A payment takes 0.3 s of work and a reservation 0.2 s. How long does a completed order take, "
        "from its first event to its end?",
        "ms",
        measured=lambda samples: _median_of_completed(samples),
        right=within_factor(1.15),
        reference=570,
    ),
}


def predict(
    *, payment_seconds: float = PAYMENT_SECONDS, inventory_seconds: float = INVENTORY_SECONDS
) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `outcome`, `work` (seconds), `hops`.
    """
    both = payment_seconds + inventory_seconds
    rows = [(COMPLETED, both, 3), (PAYMENT_FAILED, payment_seconds, 2), (INVENTORY_FAILED, both, 3)]
    return pd.DataFrame(rows, columns=["outcome", "work", "hops"])


def measure(
    env: Environment,
    *,
    payment_seconds: float = PAYMENT_SECONDS,
    inventory_seconds: float = INVENTORY_SECONDS,
    rate: float = 12,
    seconds: float = 4,
) -> pd.DataFrame:
    """Place orders, `rate` per second, at participants whose work takes this long; leave them without work to wait for.

    One row per order that was accepted. Columns: `order`, `outcome` (by the coin), `duration` (seconds from its first
    event to the event of its end, by the clocks of the publishers; empty without an end), `overdue` (whether a deadline
    ended it), `runtime`, `attempt`.
    """
    user = _user_with_all_outcomes(env.seed, round(rate * seconds))
    env.configure(PAYMENTS, PAYMENT_SECONDS=payment_seconds)
    env.configure(INVENTORY, INVENTORY_SECONDS=inventory_seconds)
    try:
        body, key = {"userId": user, "items": ITEMS}, {"Idempotency-Key": "k{number}"}
        orders_of = Stream("orders", f"{env[ORDERS].url}/orders", rate, "POST", body, key)
        load = run_load(orders_of, seconds=seconds, seed=env.seed)
        orders = _follow(env, user, int(load["ok"].sum()))
    finally:
        env.configure(PAYMENTS, PAYMENT_SECONDS=0)
        env.configure(INVENTORY, INVENTORY_SECONDS=0)
    outcomes = [coin.outcome_of(order, seed=env.seed) for order in orders["order"]]
    return orders.assign(outcome=outcomes, runtime=env.runtime, attempt=1)


def _user_with_all_outcomes(seed: int, orders: int) -> str:
    """Return a new user whose first orders have enough of each outcome, by the coin."""
    while True:
        user = f"duration-{uuid.uuid4().hex[:8]}"
        ids = [coin.order_id(seed=seed, user=user, key=f"k{number}") for number in range(orders)]
        counts = Counter(coin.outcome_of(order, seed=seed) for order in ids)
        if orders < 5 * FEWEST or all(counts[outcome] >= FEWEST for outcome in OUTCOMES):
            return user


def _follow(env: Environment, user: str, count: int) -> pd.DataFrame:
    """Return when the orders of a user ended, once as many as were accepted have, or after a time."""
    orders = pd.DataFrame()

    def ended() -> bool:
        nonlocal orders
        orders = durations(read_published(env), user)
        return int(orders["duration"].notna().sum()) >= count

    wait_until(ended, timeout=ENDED_SECONDS, every=0.5)
    return orders


def durations(published: pd.DataFrame, user: str) -> pd.DataFrame:
    """Return the duration of each saga of a user's orders: `order`, `duration` (seconds), `overdue`."""
    created = published[published["type"] == "OrderCreated"]
    created = created[[data.get("userId") == user for data in created["data"]]]
    ends = published[published["topic"].isin([CONFIRMED, CANCELLED])].drop_duplicates("order")
    both = created.merge(ends, on="order", how="left", suffixes=("", "_end"))
    return pd.DataFrame(
        {
            "order": both["order"],
            "duration": both["at_end"] - both["at"],
            "overdue": both["cause_end"] == both["event"],
        }
    )


def medians(samples: pd.DataFrame) -> pd.Series[float]:
    """Return the median duration of each outcome, in seconds; empty where no order has it."""
    return samples.groupby("outcome")["duration"].median().reindex(list(OUTCOMES))


def hop_of(samples: pd.DataFrame, prediction: pd.DataFrame) -> float:
    """Return the time of one hop: what an order whose payment fails takes beside the work, per hop."""
    (row,) = prediction[prediction["outcome"] == PAYMENT_FAILED].to_dict("records")
    return float((medians(samples)[PAYMENT_FAILED] - row["work"]) / row["hops"])


def expected(samples: pd.DataFrame, prediction: pd.DataFrame) -> dict[str, float]:
    """Return the predicted median of each outcome, with the hop of these samples."""
    hop = hop_of(samples, prediction)
    return {
        row["outcome"]: row["work"] + row["hops"] * hop for row in prediction.to_dict("records")
    }


def _median_of_completed(samples: pd.DataFrame) -> float:
    return float(1000 * samples.loc[samples["outcome"] == "completed", "duration"].median())


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare the medians of each attempt with the hop that the same attempt measured.

    Policy: seen twice, since a machine that is busy for a moment makes hops longer. A saga that is shorter than its
    work fails by itself. An attempt whose hops take long shows the machine and not the system.
    """
    attempts = list(each_attempt(samples))
    cases = [
        Case(
            row["outcome"],
            [_in_time(part, row, prediction) for part in attempts],
            {"orders": int((attempts[-1]["outcome"] == row["outcome"]).sum())},
        )
        for row in prediction.to_dict("records")
    ]
    cases.append(Case(DIFFERENCE, [_difference(part, prediction) for part in attempts]))
    details = {
        "hop": hop_of(attempts[-1], prediction),
        "medians": medians(attempts[-1]).to_dict(),
    }
    return verdict(__name__, JUDGED, cases, seen_twice, details=details)


def _unclear(part: pd.DataFrame, prediction: pd.DataFrame) -> Finding | None:
    """Return why an attempt shows nothing, if it does not."""
    if part["overdue"].any():
        return doubt("a deadline ended orders although every service ran")
    if part["duration"].isna().any():
        return doubt("not every order had ended in time")
    if part["outcome"].value_counts().reindex(list(OUTCOMES), fill_value=0).min() < FEWEST:
        return doubt("too few orders of an outcome")
    if not 0 < hop_of(part, prediction) <= LONGEST_HOP:
        return doubt("hops took so long that they show a busy machine")
    return None


def _in_time(part: pd.DataFrame, row: Mapping[Any, Any], prediction: pd.DataFrame) -> Finding:
    times = part.loc[part["outcome"] == row["outcome"], "duration"]
    if (times < row["work"] - EARLY_SECONDS).any():
        return failure("a saga was shorter than the work in it", certain=True)
    if unclear := _unclear(part, prediction):
        return unclear
    wanted = expected(part, prediction)[row["outcome"]]
    if abs(times.median() - wanted) > TOLERANCE * wanted:
        return failure("the median differs from the sum of work and hops")
    return SETTLED


def _difference(part: pd.DataFrame, prediction: pd.DataFrame) -> Finding:
    if unclear := _unclear(part, prediction):
        return unclear
    times, wanted = medians(part), expected(part, prediction)
    difference = times[COMPLETED] - times[PAYMENT_FAILED]
    # Half of what the sum of both medians may differ: the difference of two medians is less certain than either.
    allowed = TOLERANCE * (wanted[COMPLETED] + wanted[PAYMENT_FAILED]) / 2
    if abs(difference - (wanted[COMPLETED] - wanted[PAYMENT_FAILED])) > allowed:
        return failure("the difference is not the work of inventory-service and a hop")
    return SETTLED


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw each order of the latest attempt at its duration, by its outcome; the predicted medians dashed."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    times, hop = medians(last), hop_of(last, prediction)
    wanted = expected(last, prediction)
    figure, (ax,) = canvas(
        f"A completed saga takes {1000 * times[COMPLETED]:,.0f} ms: its work, and 3 hops of {1000 * hop:,.0f} ms",
        runtime=last["runtime"].iloc[0],
        note=f"a point per order, {len(last)} orders",
        height=3.6,
    )
    for y, row in enumerate(prediction.to_dict("records")):
        seconds = last.loc[last["outcome"] == row["outcome"], "duration"].dropna()
        spread = np.linspace(-0.28, 0.28, max(2, len(seconds)))[: len(seconds)]
        ax.barh(
            y, row["work"], height=0.75, color=BLUE, alpha=0.15, label="work" if y == 0 else None
        )
        ax.plot(seconds, y + spread, "o", ms=4, color=BLUE, label="an order" if y == 0 else None)
        ax.plot([wanted[row["outcome"]]] * 2, [y - 0.42, y + 0.42], **PREDICTION)
    ax.plot([], [], label="predicted median", **PREDICTION)
    names = [f"{row['outcome']}\n{row['hops']} hops" for row in prediction.to_dict("records")]
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlim(left=0)
    ax.set_xlabel("time from an order's first event to its end (s)")
    ax.grid(visible=False, axis="y")
    legend(figure, ax)
    return figure
