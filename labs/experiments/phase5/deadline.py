"""Deadline: a participant that is silent for longer than a saga may take, and what becomes of its orders."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from environment.waiting import wait_until
from labs.evidence import Counterexample, first_order
from labs.experiments.phase4.events import follow
from labs.experiments.phase5.ends import USUAL_SECONDS, has_wrong_net, place_good, read_ends
from labs.experiments.phase5.names import (
    CANCELLED,
    CREATED,
    INVENTORY,
    ORDERS,
    PAYMENTS,
    RESERVED,
)
from labs.experiments.phase5.rest import wait_for_rest
from labs.figures import BLUE, GREEN, ORANGE, PREDICTION, canvas, legend, styled
from labs.guessing import Guess, within_points
from labs.judging import SETTLED, Case, Finding, doubt, each_attempt, failure, seen_twice, verdict
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "What becomes of an order when a participant is silent for longer than a saga may take?"

THEORY = (
    "An order that is pending after T seconds is cancelled, at the latest when order-service has consumed for 10 s "
    "without a break, and has looked once more, which it does every second. What others did late is undone. While "
    "order-service itself is away no deadline counts: the answers that waited are read first."
)

GRACE_SECONDS, EVERY_SECONDS = 10.0, 1.0
"""How long order-service must have consumed before a deadline counts, and how often it looks for one."""

SLACK_SECONDS = 10.0
"""How much longer than predicted an end is awaited: far longer than a busy machine delays it."""

CLOCK_SECONDS = 0.002
"""The times of an order and of an event are rounded to milliseconds."""

FEWEST = 5
"""Orders that a case needs, and late successes: charges of orders that were cancelled."""

JUDGED = (
    "orders of a silent participant are cancelled after their deadline, at most the grace of 10 s and 1 s later, and "
    "keep no charge and no item; orders whose answers waited for order-service are completed"
)

COLOURS = {"cancelled": ORANGE, "completed": BLUE, "pending": GREEN}

EVERY_SERVICE = (PAYMENTS, INVENTORY, ORDERS)

QUICK = (INVENTORY, ORDERS)
"""The two that differ: a success that comes too late, and answers that waited."""

GUESSES = {
    "cancelled": Guess(
        "order-service itself is away for longer than an order may be pending, and then comes back. "
        "Which share of its orders is cancelled?",
        "%",
        measured=lambda samples: 100 * _cancelled_while_away(samples),
        right=within_points(10),
        reference=0,
        theory=lambda prediction: 100 * _cancelled_while_away(prediction),
    ),
}


def predict(*, timeout: float = 3.0, silent: Sequence[str] = EVERY_SERVICE) -> pd.DataFrame:
    """Return `THEORY` as numbers, for a deadline of `timeout` seconds and each service that is silent.

    Columns: `silent`, `status` (of every order in the end), `low` and `high` (bounds of the seconds from an order to
    its end; empty where no deadline ends it).
    """
    bounds = {"low": timeout, "high": timeout + GRACE_SECONDS + EVERY_SECONDS}
    none = {"low": np.nan, "high": np.nan}
    rows: list[dict[str, Any]] = [
        {"silent": service, "status": "completed", **none}
        if service == ORDERS
        else {"silent": service, "status": "cancelled", **bounds}
        for service in silent
    ]
    return pd.DataFrame(rows)


def measure(
    env: Environment,
    *,
    orders: int = 10,
    timeout: float = 3.0,
    silent: Sequence[str] = EVERY_SERVICE,
) -> pd.DataFrame:
    """Place orders that would be completed, and stop each participant in turn for longer than their deadline.

    payment-service and inventory-service are stopped before the orders are placed, and come back when all are
    cancelled. order-service is stopped while the orders wait for inventory-service, which then answers; it comes back
    when their deadline has passed. Leaves the usual deadline.

    One row per order. Columns: `silent`, those of `read_ends`, `began` and `back` (when the service was stopped and
    started again), `timeout`, `answered` (whether every answer was in Kafka when order-service came back; true for
    the others), `resting` (whether the system came to rest), `runtime`, `attempt`.
    """
    env.configure(ORDERS, SAGA_TIMEOUT_SECONDS=timeout)
    try:
        parts = [
            _order_service_away(env, orders, timeout)
            if service == ORDERS
            else _participant_away(env, service, orders, timeout)
            for service in silent
        ]
    finally:
        env.configure(ORDERS, SAGA_TIMEOUT_SECONDS=USUAL_SECONDS)
    samples = pd.concat(parts, ignore_index=True)
    return samples.assign(timeout=timeout, runtime=env.runtime, attempt=1)


def _participant_away(env: Environment, service: str, orders: int, timeout: float) -> pd.DataFrame:
    longest = timeout + GRACE_SECONDS + EVERY_SECONDS + SLACK_SECONDS
    with env[service].stopped() as fault:
        placed = place_good(env, orders)
        follow(env, CANCELLED, placed, by="order", seconds=longest)
        back = time.time()
    resting = wait_for_rest(env)
    facts: dict[str, Any] = {"silent": service, "began": fault.began, "back": back}
    return read_ends(env, placed).assign(**facts, answered=True, resting=resting)


def _order_service_away(env: Environment, orders: int, timeout: float) -> pd.DataFrame:
    with ExitStack() as blocks:
        with env[INVENTORY].stopped():
            placed = place_good(env, orders)
            created = time.time()
            follow(env, CREATED, placed, by="order", seconds=timeout)
            fault = blocks.enter_context(env[ORDERS].stopped())
        reserved = follow(env, RESERVED, placed, by="order", seconds=SLACK_SECONDS)
        passed = created + timeout
        wait_until(lambda: time.time() > passed, timeout=timeout + 1)
        back = time.time()
    resting = wait_for_rest(env)
    answered = set(placed) <= set(reserved["order"])
    facts: dict[str, Any] = {"silent": ORDERS, "began": fault.began, "back": back}
    return read_ends(env, placed).assign(**facts, answered=answered, resting=resting)


def _cancelled_while_away(frame: pd.DataFrame) -> float:
    """Return the share of the orders of a silent order-service that is cancelled."""
    return float((frame.loc[frame["silent"] == "order-service", "status"] == "cancelled").mean())


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Judge each order's end, its time and its money.

    Policy: seen twice, since a busy machine makes an end later. Certain is what it cannot do: an end before the
    deadline, an order that has not ended long after it, a wrong outcome, and money at rest that is wrong.
    """
    attempts = list(each_attempt(samples))
    cases = []
    for row in prediction.to_dict("records"):
        parts = [part[part["silent"] == row["silent"]] for part in attempts]
        details = {"orders": len(parts[-1]), "late": int(_late(parts[-1]).sum())}
        name = f"{row['silent']} is away"
        cases.append(Case(name, [_ended(part, row) for part in parts], details))
    return verdict(__name__, JUDGED, cases, seen_twice)


def _ended(orders: pd.DataFrame, expected: Mapping[Any, Any]) -> Finding:
    if len(orders) < FEWEST:
        return doubt("too few orders were acknowledged")
    away = expected["silent"] == ORDERS
    found = _outage(orders) if away else _deadline(orders, expected)
    if found.kind is not SETTLED.kind:
        return found
    if not orders["resting"].all():
        return doubt("the system did not come to rest in time")
    if has_wrong_net(orders).any():
        return failure("orders keep money that is not theirs, or lack some", certain=True)
    if expected["silent"] == INVENTORY and _late(orders).sum() < FEWEST:
        return doubt("too few successes came too late")
    return SETTLED


def _deadline(orders: pd.DataFrame, expected: Mapping[Any, Any]) -> Finding:
    seconds = orders["ended"] - orders["created"]
    if (seconds < expected["low"] - CLOCK_SECONDS).any():
        return failure("orders ended before their deadline", certain=True)
    if (orders["ended"].isna() | (orders["ended"] > orders["back"])).any():
        return failure("orders were not cancelled at their deadline", certain=True)
    if (orders["status"] != expected["status"]).any():
        return failure("orders ended otherwise than predicted", certain=True)
    if (seconds > expected["high"]).any():
        return failure("orders were cancelled too late")
    return SETTLED


def _outage(orders: pd.DataFrame) -> Finding:
    passed = orders["created"] + orders["timeout"]
    if (orders["began"] > passed).any():
        return doubt("order-service was stopped after the deadline")
    if (orders["back"] < passed).any() or not orders["answered"].all():
        return doubt("order-service came back before the deadline, or before the answers")
    if (orders["status"] == "cancelled").any():
        return failure("orders were cancelled whose answers waited", certain=True)
    if orders["ended"].isna().any():
        return doubt("orders had not ended in time")
    return SETTLED


def _late(orders: pd.DataFrame) -> pd.Series[bool]:
    """Whether an order was charged although it is cancelled."""
    return (orders["status"] == "cancelled") & (orders["charged"] > 0)


def evidence(samples: pd.DataFrame, prediction: pd.DataFrame) -> Counterexample | None:
    """Return an order that ended at another time, in another way or with other money than predicted."""
    orders = samples.merge(prediction, on="silent", suffixes=("", "_expected"))
    seconds, deadline = orders["ended"] - orders["created"], orders["silent"] != ORDERS
    return first_order(
        orders,
        {
            "an order that ended before its deadline": deadline
            & (seconds < orders["low"] - CLOCK_SECONDS),
            "an order that was not cancelled at its deadline": deadline
            & (orders["ended"].isna() | (orders["ended"] > orders["back"])),
            "an order that ended otherwise than predicted": orders["ended"].notna()
            & (orders["status"] != orders["status_expected"]),
            "an order that keeps money that is not its own, or lacks some": orders["resting"]
            & has_wrong_net(orders),
            "an order that was cancelled too late": deadline & (seconds > orders["high"]),
        },
    )


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw each order of the latest attempt at the seconds it took to its end; the predicted bounds dashed."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    cancelled = int((last["status"] == "cancelled").sum())
    late = int(_late(last).sum())
    figure, (ax,) = canvas(
        f"{cancelled} orders cancelled at their deadline, {late} of them charged and refunded",
        runtime=last["runtime"].iloc[0],
        note=f"a point per order, T = {last['timeout'].iloc[0]:g} s",
        height=3.6,
    )
    for y, row in enumerate(prediction.to_dict("records")):
        orders = last[last["silent"] == row["silent"]]
        spread = np.linspace(-0.25, 0.25, max(2, len(orders)))[: len(orders)]
        seconds = orders["ended"] - orders["created"]
        for status, colour in COLOURS.items():
            these = (orders["status"] == status).to_numpy()
            named = status in ax.get_legend_handles_labels()[1]
            label = None if named or not these.any() else status
            ax.plot(seconds[these], y + spread[these], "o", ms=6, color=colour, label=label)
        for bound in ("low", "high"):
            label = "bound" if (y, bound) == (0, "low") else None
            ax.plot([row[bound]] * 2, [y - 0.4, y + 0.4], label=label, **PREDICTION)
    ax.set_yticks(range(len(prediction)), [f"{name}\nis away" for name in prediction["silent"]])
    ax.set_ylim(len(prediction) - 0.5, -0.5)
    ax.set_xlim(left=0)
    ax.set_xlabel("time from the order to its end (s)")
    ax.grid(visible=False, axis="y")
    legend(figure, ax)
    return figure
