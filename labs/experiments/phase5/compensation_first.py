"""Compensation first: a cancel that a participant reads before the event that it cancels."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.evidence import Counterexample, first_order
from labs.experiments.phase4.events import follow, read_events
from labs.experiments.phase4.orders import drained
from labs.experiments.phase5.ends import has_wrong_net, place_good, read_ends
from labs.experiments.phase5.names import (
    CANCELLED,
    CREATED,
    INVENTORY,
    ORDERS,
    PAID,
    PAYMENTS,
    RESERVED,
    group_of,
)
from labs.experiments.phase5.rest import wait_for_rest
from labs.figures import BLUE, PREDICTION, VERMILLION, canvas, legend, styled
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
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "What does a participant do that reads the cancel of an order before the order?"

THEORY = (
    "Two topics have no order, so a participant may read OrderCancelled first. It stores a tombstone, and what comes "
    "later has no effect: no charge, and no reservation. Without a tombstone the compensation would find nothing to "
    "undo, and the action that comes later would stay."
)

ACTIONS = {PAYMENTS: (CREATED, PAID), INVENTORY: (PAID, RESERVED)}
"""The topic that makes a participant act, and that of what it publishes then."""

ENDED_SECONDS = 40.0
"""Longest wait for the deadline of the orders."""

READ_SECONDS = 20.0
"""Longest wait for a participant to read what is there."""

FEWEST = 5
"""Orders that a case needs."""

JUDGED = "an order whose cancel is read first is neither charged nor reserved when its own event is read later: exact"

GUESSES = {
    "effects": Guess(
        "A participant reads the cancel of each order before the order itself. On how many of these "
        "orders does the later event still have an effect, a charge or a reservation?",
        "orders",
        measured=lambda samples: (samples["effects"] > 0).sum(),
        right=EXACT,
        reference=0,
        theory=lambda prediction: prediction["effects"].sum(),
    ),
}


def predict(*, orders: int = 10) -> pd.DataFrame:
    """Return `THEORY` as numbers, for this many orders of each participant.

    Columns: `reader`, `action` (the topic that is read last), `orders`, `effects` (orders on which it has an effect).
    """
    rows = [(reader, action, orders, 0) for reader, (action, _) in ACTIONS.items()]
    return pd.DataFrame(rows, columns=["reader", "action", "orders", "effects"])


def measure(env: Environment, *, orders: int = 10) -> pd.DataFrame:
    """Let each participant read the cancels of orders first, and the events that make it act afterwards.

    Orders are placed while a participant is stopped; their deadline is declared passed, so that they are cancelled.
    Then its group is set past the events that make it act, and it reads the cancels alone; after that its group is set
    back. Both readings are ones that two topics allow.

    One row per order and reader. Columns: `reader`, those of `read_ends`, `effects` (events by which the reader
    reports that it acted), `cancelled_first` (whether it had read every cancel before), `read_again` (messages of the
    action's topic that it read after that), `resting` (whether the system came to rest), `runtime`, `attempt`.
    """
    began = datetime.now(UTC)
    placed = _cancelled_unread(env, orders)
    first = {reader: drained(env, group_of(reader), seconds=READ_SECONDS) for reader in ACTIONS}
    with env[PAYMENTS].stopped(), env[INVENTORY].stopped():
        again = {reader: _rewind(env, reader, began) for reader in ACTIONS}
    resting = wait_for_rest(env)
    parts = [
        _read(env, reader, ids).assign(cancelled_first=first[reader], read_again=again[reader])
        for reader, ids in placed.items()
    ]
    samples = pd.concat(parts, ignore_index=True)
    return samples.assign(resting=resting, runtime=env.runtime, attempt=1)


def _cancelled_unread(env: Environment, orders: int) -> dict[str, list[str]]:
    """Place orders of each reader while it is stopped, and let it read their cancels alone; return their ids."""
    with env[INVENTORY].stopped():
        placed = {INVENTORY: place_good(env, orders)}
        follow(env, PAID, placed[INVENTORY], by="order", seconds=READ_SECONDS)
        with env[PAYMENTS].stopped():
            placed[PAYMENTS] = place_good(env, orders)
            every = [order for ids in placed.values() for order in ids]
            with env[ORDERS].held(overdue=every):
                follow(env, CANCELLED, every, by="order", seconds=ENDED_SECONDS)
            for reader, (action, _) in ACTIONS.items():
                env.kafka.reset(group_of(reader), action, to="latest")
    return placed


def _rewind(env: Environment, reader: str, began: datetime) -> int:
    """Set a reader back to the events that make it act; return how many messages it will read again."""
    action, _ = ACTIONS[reader]
    moved = env.kafka.reset(group_of(reader), action, to=began)
    return int((moved["before"] - moved["after"]).sum())


def _read(env: Environment, reader: str, placed: list[str]) -> pd.DataFrame:
    _, effect = ACTIONS[reader]
    effects = read_events(env, effect)["order"].value_counts()
    ends = read_ends(env, placed)
    counts = [int(effects.get(order, 0)) for order in ends["order"]]
    return ends.assign(reader=reader, effects=counts)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Count exactly.

    Policy: every attempt, since no machine makes a tombstone have an effect. In doubt are attempts in which a cancel
    was not read first, or the events that came later were not read at all.
    """
    attempts = list(each_attempt(samples))
    cases = []
    for row in prediction.to_dict("records"):
        parts = [part[part["reader"] == row["reader"]] for part in attempts]
        details = {"orders": len(parts[-1]), "effects": int((parts[-1]["effects"] > 0).sum())}
        cases.append(Case(row["reader"], [_none(part) for part in parts], details))
    return verdict(__name__, JUDGED, cases, every_attempt)


def _none(orders: pd.DataFrame) -> Finding:
    cancelled = orders["status"] == "cancelled"
    if not orders["cancelled_first"].all():
        return doubt("a cancel was not read first")
    if (cancelled & (orders["effects"] > 0)).any():
        return failure("acted on an order that it had read to be cancelled")
    if len(orders) < FEWEST or not cancelled.all():
        return doubt("too few orders were cancelled by their deadline")
    if (orders["read_again"] < len(orders)).any():
        return doubt("the events that make it act were not read afterwards")
    if not orders["resting"].all():
        return doubt("the system did not come to rest in time")
    if has_wrong_net(orders).any():
        return failure("a cancelled order keeps its charge")
    return SETTLED


def evidence(samples: pd.DataFrame, prediction: pd.DataFrame) -> Counterexample | None:
    """Return a cancelled order on which a service acted, or that keeps its charge."""
    cancelled = samples["status"] == "cancelled"
    return first_order(
        samples,
        {
            "an order on which a service acted after its cancel": cancelled
            & samples["cancelled_first"]
            & (samples["effects"] > 0),
            "a cancelled order that keeps its charge": samples["resting"] & has_wrong_net(samples),
        },
    )


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the latest attempt's orders by reader, without and with an effect; the predicted split dashed."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    acted = int((last["effects"] > 0).sum())
    figure, (ax,) = canvas(
        f"{acted} of {len(last)} orders whose cancel was read first had an effect afterwards",
        runtime=last["runtime"].iloc[0],
        note=f"{len(last)} orders",
        height=3.0,
    )
    labels = []
    for y, row in enumerate(prediction.to_dict("records")):
        orders = last[last["reader"] == row["reader"]]
        effects = int((orders["effects"] > 0).sum())
        style: dict[str, Any] = {"height": 0.5}
        name: Mapping[str, str | None] = {
            "none": "no effect" if y == 0 else None,
            "some": "charged or reserved" if y == 0 else None,
            "line": "without an effect, predicted" if y == 0 else None,
        }
        ax.barh(y, len(orders) - effects, color=BLUE, label=name["none"], **style)
        left = len(orders) - effects
        ax.barh(y, effects, left=left, color=VERMILLION, label=name["some"], **style)
        edge = row["orders"] - row["effects"]
        ax.plot([edge] * 2, [y - 0.38, y + 0.38], label=name["line"], **PREDICTION)
        labels.append(f"{row['reader']}:\n{row['action']} last")
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.set_xlim(0, 1.15 * float(prediction["orders"].max()))
    ax.set_xlabel("orders (count)")
    ax.grid(visible=False, axis="y")
    legend(figure, ax)
    return figure
