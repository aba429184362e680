"""Duplicates: an order whose event is delivered several times, without the inbox and with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.evidence import Counterexample, first_order
from labs.experiments.phase4.events import MOST, follow
from labs.experiments.phase4.names import CREATED, PAYMENTS, PAYMENTS_GROUP
from labs.experiments.phase4.orders import charges, drained, place
from labs.figures import BLUE, ORANGE, PREDICTION, canvas, mark_set_aside, styled
from labs.guessing import EXACT, Guess
from labs.judging import (
    SETTLED,
    Case,
    Counted,
    Finding,
    doubt,
    failure,
    plural,
    pooled,
    set_aside,
    verdict,
)
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How often is an order charged when its event is delivered d times?"

THEORY = (
    "At-least-once delivery delivers an event d >= 1 times. An inbox that is written in the "
    "transaction of the effect lets the event have one effect; without it, and without a unique "
    "key, the event has d effects."
)

ON, OFF = "on", "off"

NAMES = {OFF: "without inbox and key", ON: "with them"}

COLOURS = {OFF: ORANGE, ON: BLUE}

DELIVERIES = (1, 2, 4)

PUBLISHED_SECONDS = 20.0
"""Longest wait for the events of new orders to be in their topic."""

JUDGED = "an order whose event is delivered d times is charged once with the inbox, d times without: exact"

GUESSES = {
    "without_inbox": Guess(
        "The event of an order is delivered four times, and the consumer has no inbox. How often is "
        "the customer charged?",
        "charges",
        measured=lambda samples: _most_charges(samples, OFF),
        right=EXACT,
        reference=4,
        theory=lambda prediction: _most_charges(prediction, OFF),
    ),
    "with_inbox": Guess(
        "And how often when the consumer has an inbox, written in the transaction of the charge?",
        "charges",
        measured=lambda samples: _most_charges(samples, ON),
        right=EXACT,
        reference=1,
        theory=lambda prediction: _most_charges(prediction, ON),
    ),
}


def predict(deliveries: Sequence[int] = DELIVERIES) -> pd.DataFrame:
    """Return `THEORY` as numbers, for these numbers of deliveries.

    Columns: `inbox`, `deliveries`, `charges` (per order).
    """
    rows = [(inbox, d, d if inbox == OFF else 1) for inbox in NAMES for d in deliveries]
    return pd.DataFrame(rows, columns=["inbox", "deliveries", "charges"])


def measure(
    env: Environment, *, deliveries: Sequence[int] = DELIVERIES, orders: int = 3
) -> pd.DataFrame:
    """Deliver the events of orders several times, without the inbox and then with it.

    `orders` orders are placed for each number of deliveries, and their events sent again until each was sent that
    often, as a relay does that is killed before it deletes them from the outbox. Leaves the inbox on, and no work in
    a payment.

    One row per order. Columns: `inbox`, `order`, `deliveries` (that were meant), `delivered` (messages of the order in
    the topic), `drained` (whether payment-service was past them all), `charges` (of the order in the ledger),
    `runtime`, `attempt`.
    """
    rows: list[dict[str, Any]] = []
    for inbox in NAMES:
        env.configure(PAYMENTS, INBOX=inbox, PAYMENT_SECONDS=0)
        meant = dict.fromkeys(place(env, orders * len(deliveries)), 1)
        meant = {order: deliveries[n % len(deliveries)] for n, order in enumerate(meant)}
        _send_again(env, meant)
        done, charged = drained(env, PAYMENTS_GROUP), charges(env)
        delivered = env.kafka.read(CREATED, limit=MOST)["key"].value_counts()
        rows += [
            {
                "inbox": inbox,
                "order": order,
                "deliveries": d,
                "delivered": int(delivered.get(order, 0)),
                "drained": done,
                "charges": charged[order],
            }
            for order, d in meant.items()
        ]
    return pd.DataFrame(rows).assign(runtime=env.runtime, attempt=1)


def _send_again(env: Environment, meant: Mapping[str, int]) -> None:
    """Put further copies of the orders' events, with all their bytes, behind the first ones."""
    follow(env, CREATED, meant, by="order", seconds=PUBLISHED_SECONDS)
    first = env.kafka.read(CREATED, limit=MOST).drop_duplicates("key")
    for event in first[first["key"].isin(list(meant))].to_dict("records"):
        copy = {name: event[name] for name in ("key", "headers", "partition")}
        for _ in range(meant[event["key"]] - 1):
            env.kafka.produce(CREATED, event["value"], **copy)


def _most_charges(frame: pd.DataFrame, inbox: str) -> int:
    """Return the most charges of an order whose event was delivered most often."""
    rows = frame[frame["inbox"] == inbox]
    return int(rows.loc[rows["deliveries"] == rows["deliveries"].max(), "charges"].max())


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Count exactly, per order, by the deliveries that it really had.

    Policy: pooled, since each order is a sample of its own. Orders of a setting whose events payment-service had not
    read to the end are set aside. More charges than messages without the inbox are no failure: the group itself may
    have delivered again, when a busy machine kept a member from its heartbeat.
    """
    cases = []
    for row in prediction.to_dict("records"):
        orders = _of(samples, row)
        counted = _read_to_the_end(orders)
        name = f"INBOX={row['inbox']}, delivered {plural(row['deliveries'], 'time')}"
        cases.append(Case(name, [_charged(orders, counted, row)], {"counted": str(counted)}))
    numbers = samples.groupby(["inbox", "delivered", "charges"]).size().rename("orders")
    details = {"orders": numbers.reset_index().to_dict("records")}
    return verdict(__name__, JUDGED, cases, pooled, details=details)


def _of(samples: pd.DataFrame, expected: Mapping[Any, Any]) -> pd.DataFrame:
    """Return the orders of one setting that were delivered as often as expected."""
    same = samples["inbox"] == expected["inbox"]
    orders: pd.DataFrame = samples[same & (samples["delivered"] == expected["deliveries"])]
    return orders


def _read_to_the_end(orders: pd.DataFrame) -> Counted:
    return set_aside(orders, ~orders["drained"], "events that payment-service had not read yet")


def _charged(orders: pd.DataFrame, counted: Counted, expected: Mapping[Any, Any]) -> Finding:
    if expected["inbox"] == ON and (orders["charges"] > expected["charges"]).any():
        return failure("charged more than once")  # at any moment, whatever is still to be read
    if orders.empty:
        return doubt("not measured")
    if counted.finding:
        return counted.finding
    if (counted.samples["charges"] < expected["charges"]).any():
        return failure("charged less often than predicted")
    if not (counted.samples["charges"] == expected["charges"]).any():
        return doubt("not measured")
    return SETTLED


def evidence(samples: pd.DataFrame, prediction: pd.DataFrame) -> Counterexample | None:
    """Return an order that was charged otherwise than predicted."""
    for row in prediction.to_dict("records"):
        orders, times = _of(samples, row), plural(row["deliveries"], "time")
        counted, more = (
            orders["drained"],
            (row["inbox"] == ON) & (orders["charges"] > row["charges"]),
        )
        found = first_order(
            orders,
            {
                f"an order whose event was delivered {times} and that was charged again": more,
                f"an order whose event was delivered {times} and that lacks a charge": counted
                & (orders["charges"] < row["charges"]),
            },
        )
        if found:
            return found
    return None


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw charges per order against deliveries, a point per order; the prediction dashed.

    Orders that do not count are hollow.
    """
    counted = _read_to_the_end(samples)
    figure, (ax,) = canvas(
        _finding_of(counted.samples),
        runtime=samples["runtime"].iloc[0],
        note=f"a point per order, {counted}",
        height=4.0,
    )
    for index, (inbox, name) in enumerate(NAMES.items()):
        expected = prediction[prediction["inbox"] == inbox]
        label = "predicted" if index == 0 else None
        ax.plot(expected["deliveries"], expected["charges"], label=label, **PREDICTION)
        orders = samples[samples["inbox"] == inbox]
        # Orders with the same numbers stand side by side, those of the two settings apart.
        number = orders.groupby(["delivered", "charges"]).cumcount()
        at = orders["delivered"] + 0.05 * (number - 1) + 0.2 * (index - 0.5)
        read = orders["drained"].astype(bool)
        ax.plot(at[read], orders["charges"][read], "o", ms=7, color=COLOURS[inbox], label=name)
        mark_set_aside(ax, at[~read], orders["charges"][~read])
    most = int(max(samples["charges"].max(), prediction["charges"].max()))
    ax.set_xticks(sorted(set(samples["delivered"])))
    ax.set_yticks(range(most + 1))
    ax.set_ylim(0, most + 0.5)
    ax.set_xlabel("deliveries of the event (count)")
    ax.set_ylabel("charges of the order (count)")
    ax.legend(loc="upper left")  # the note needs the figure's second line
    return figure


def _finding_of(orders: pd.DataFrame) -> str:
    """Return as a title what the most deliveries cost, without the inbox and with it."""
    most = int(orders["delivered"].max()) if len(orders) else 0
    often = orders[orders["delivered"] == most].groupby("inbox")["charges"].max()
    costs = [plural(int(often.get(inbox, 0)), "time") for inbox in NAMES]
    return f"Delivered {plural(most, 'time')}, charged {costs[0]} without the inbox, {costs[1]} with it"
