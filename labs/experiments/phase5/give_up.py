"""What may be given up: which events a participant may set aside as dead letters, and which it must not."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from environment.waiting import wait_until
from labs.client import new_client
from labs.experiments.phase5 import coin
from labs.experiments.phase5.ends import has_wrong_net, read_ends
from labs.experiments.phase5.interleavings import check, shortest
from labs.experiments.phase5.names import (
    COMPLETED,
    INVENTORY,
    INVENTORY_FAILED,
    ORDERS,
    PAID,
    PARTICIPANTS,
    PAYMENT_FAILED,
    PAYMENTS,
    RESERVED,
    group_of,
    short,
    topic_of,
)
from labs.experiments.phase5.orders import place
from labs.experiments.phase5.rest import RESPONSE_SECONDS, read_metrics, wait_for_quiet
from labs.experiments.phase5.states import States, read_states
from labs.figures import BLUE, FAULT_TEXT, INK, ORANGE, SOFT, canvas, styled
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

TITLE = "Which events may a participant give up?"

THEORY = (
    "An event of which the effect always fails can be set aside, so that its partition goes on. Where a deadline ends "
    "the order, and a cancel undoes what was done, that is safe: only the sale is lost. A compensation and a "
    "confirmation have nothing behind them. The checker finds for each reading whether one lost event breaks a promise."
)

WAITING = "deliveries_waiting_seconds"
"""The metric of a partition that cannot go on."""

SECONDS = 30.0
"""Longest wait for a step: longer than the grace of a deadline on a busy machine."""

JUDGED = (
    "a poisoned event becomes a dead letter exactly where the checker finds nothing wrong, and the order ends right; "
    "elsewhere its partition waits visibly, the state is wrong as predicted, and right once the poison is gone"
)


class Reading(NamedTuple):
    """An event that a participant reads, and an order in which it matters.

    `holds` is the topic that another participant must not read before the deadline, so that this event decides.
    `overdue`: a deadline ends the order.
    """

    service: str
    event: str
    outcome: str
    overdue: bool = True
    holds: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        """The name of this reading, as the checker takes it."""
        return f"{short(self.service)}/{self.event}"


READINGS = (
    Reading(PAYMENTS, "OrderCreated", COMPLETED),
    Reading(PAYMENTS, "InventoryFailed", INVENTORY_FAILED, overdue=False),
    Reading(PAYMENTS, "OrderConfirmed", COMPLETED, overdue=False),
    Reading(INVENTORY, "PaymentCompleted", COMPLETED),
    Reading(ORDERS, "PaymentFailed", PAYMENT_FAILED),
    Reading(ORDERS, "InventoryFailed", INVENTORY_FAILED),
    Reading(ORDERS, "InventoryReserved", COMPLETED),
    Reading(PAYMENTS, "OrderCancelled", COMPLETED, holds=(INVENTORY, PAID)),
    Reading(INVENTORY, "OrderCancelled", COMPLETED, holds=(ORDERS, RESERVED)),
    Reading(INVENTORY, "OrderConfirmed", COMPLETED, overdue=False),
)

QUICK = ("inventory/PaymentCompleted", "payment/OrderCancelled", "inventory/OrderConfirmed")
"""One reading that may be given up, and two that may not."""


def predict(*, readings: Collection[str] = QUICK) -> pd.DataFrame:
    """Return `THEORY` as numbers, from the checker: for the readings of these names, or for all without any.

    Columns: `reading`, `safe` (whether it may be given up), `steps` (of the shortest way to a wrong state, or 0),
    `broken` (the property).
    """
    rows = []
    for reading in _chosen(readings):
        found = shortest(check("--dead-letter", reading.name))
        steps, broken = len(found["trace"]), found["property"]
        rows.append({"reading": reading.name, "safe": not steps, "steps": steps, "broken": broken})
    return pd.DataFrame(rows)


def _chosen(readings: Collection[str]) -> list[Reading]:
    return [each for each in READINGS if not readings or each.name in readings]


def measure(env: Environment, *, readings: Collection[str] = QUICK) -> pd.DataFrame:
    """Poison one event at each of these readings (or at all without any), each of an order of its own.

    First those that the checker calls safe, until nothing is under way; then the others, which make partitions wait.

    One row per reading. Columns: `reading`, `order`, `letters` (dead letters of this event), `waited` (whether the
    service showed a delivery that waits), `ended` (whether the order had ended) and `wrong` (whether its money or its
    item was wrong) while the event was poisoned, `wrong_after` (once the poison was gone), `quiet` (whether nothing
    was under way in the end), `runtime`, `attempt`.
    """
    safe = set(predict(readings=readings).query("safe")["reading"])
    groups = [
        [each for each in _chosen(readings) if (each.name in safe) is wanted]
        for wanted in (True, False)
    ]
    parts = [_poison(env, group) for group in groups if group]
    return pd.concat(parts, ignore_index=True).assign(runtime=env.runtime, attempt=1)


def _poison(env: Environment, group: Sequence[Reading]) -> pd.DataFrame:
    user = f"user-{uuid.uuid4().hex[:8]}"
    chosen = choose_keys([reading.outcome for reading in group], seed=env.seed, user=user)
    ids = {
        reading: coin.order_id(seed=env.seed, user=user, key=key)
        for reading, key in zip(group, chosen, strict=True)
    }
    with ExitStack() as blocks:
        poison = {service: _poison_of(service, ids) for service in PARTICIPANTS}
        holds = {service: _holds_of(service, ids) for service in PARTICIPANTS}
        faults = {
            service: blocks.enter_context(env[service].held(holds[service], poison=poison[service]))
            for service in PARTICIPANTS
        }
        place(env, chosen, user=user)
        for reading, order in ids.items():
            wait_until(partial(_has_arrived, env, reading, order), timeout=SECONDS, every=0.1)
        overdue = [order for reading, order in ids.items() if reading.overdue]
        faults[ORDERS].replace(holds[ORDERS], poison=poison[ORDERS], overdue=overdue)
        wait_until(lambda: _have_ended(env, ids.values()), timeout=SECONDS, every=0.1)
        faults[INVENTORY].replace(poison=poison[INVENTORY])
        faults[ORDERS].replace(poison=poison[ORDERS])
        wait_until(lambda: _are_settled(env, ids), timeout=SECONDS, every=0.1)
        rows = [_row(env, reading, order) for reading, order in ids.items()]
    quiet = wait_for_quiet(env)
    after = _wrong(env, list(ids.values()))
    return pd.DataFrame(rows).assign(wrong_after=list(after.values()), quiet=quiet)


def choose_keys(outcomes: Sequence[str], *, seed: int, user: str) -> list[str]:
    """Return a key for an order of each outcome, in partitions of their own: one that waits must not hold another back.

    With more orders than partitions, as few as possible share one.
    """
    keys = {outcome: coin.keys_of(outcome, seed=seed, user=user) for outcome in set(outcomes)}
    used, chosen = Counter[int](), list[str]()
    for number, outcome in enumerate(outcomes):
        for key in keys[outcome]:
            partition = coin.partition_of(coin.order_id(seed=seed, user=user, key=key))
            if used[partition] <= number // coin.PARTITIONS:
                break
        used[partition] += 1
        chosen.append(key)
    return chosen


def _poison_of(service: str, ids: Mapping[Reading, str]) -> dict[str, list[str]]:
    return {topic_of(each.event): [id] for each, id in ids.items() if each.service == service}


def _holds_of(service: str, ids: Mapping[Reading, str]) -> dict[str, list[str]]:
    held = [(each.holds, id) for each, id in ids.items() if each.holds]
    return {topic: [id] for (reader, topic), id in held if reader == service}


def _has_arrived(env: Environment, reading: Reading, order: str) -> bool:
    """Return whether the order waits for its deadline, or has ended: so far nothing decides it."""
    if reading.holds is None:
        return bool(_letters(env, reading, order)) or read_states(env, order).order != "pending"
    service, topic = reading.holds
    reports = env[service].points().values()
    return any({"topic": topic, "orderId": order} in report["held"] for report in reports)


def _have_ended(env: Environment, orders: Collection[str]) -> bool:
    return all(read_states(env, order).order != "pending" for order in orders)


def _are_settled(env: Environment, ids: Mapping[Reading, str]) -> bool:
    """Return whether each poisoned event was given up, or makes its partition wait."""
    return all(
        _letters(env, reading, order) or _waits(env, reading.service)
        for reading, order in ids.items()
    ) and (any(_waits(env, service) for service in PARTICIPANTS) or wait_for_quiet(env))


def _waits(env: Environment, service: str) -> bool:
    with new_client(RESPONSE_SECONDS) as client:
        return read_metrics(client, env[service].url).get(WAITING, 0.0) > 0


def _letters(env: Environment, reading: Reading, order: str) -> int:
    letters = env.kafka.dead_letters()
    of_this = (letters["key"] == order) & (letters["origin"] == topic_of(reading.event))
    return int((of_this & (letters["group"] == group_of(reading.service))).sum())


def _row(env: Environment, reading: Reading, order: str) -> dict[str, Any]:
    return {
        "reading": reading.name,
        "order": order,
        "letters": _letters(env, reading, order),
        "waited": _waits(env, reading.service),
        "ended": read_states(env, order).order != "pending",
        "wrong": _wrong(env, [order])[order],
    }


def _wrong(env: Environment, orders: Sequence[str]) -> dict[str, bool]:
    """Return whether the money or the item of an order is wrong."""
    ends = read_ends(env, orders)
    money = dict(zip(ends["order"], has_wrong_net(ends), strict=True))
    return {
        order: bool(money.get(order, False)) or has_wrong_item(read_states(env, order))
        for order in orders
    }


def has_wrong_item(states: States) -> bool:
    """Return whether an item is set aside for an order that has ended, or not sold to one that is completed."""
    sold = states.inventory == "sold"
    return states.inventory == "reserved" or sold != (states.order == COMPLETED)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Judge each reading exactly.

    Policy: every attempt, since no machine gives up what it must not, or repairs what nothing repairs.
    """
    attempts = [part.set_index("reading") for part in each_attempt(samples)]
    cases = [
        Case(row["reading"], [_as_predicted(part, row) for part in attempts])
        for row in prediction.to_dict("records")
    ]
    details = {
        "given_up": int((attempts[-1]["letters"] > 0).sum()),
        "waited": int((attempts[-1]["letters"] == 0).sum()),
    }
    return verdict(__name__, JUDGED, cases, every_attempt, details=details)


def _as_predicted(part: pd.DataFrame, expected: Mapping[Any, Any]) -> Finding:
    if expected["reading"] not in part.index:
        return doubt("not measured")
    order = part.loc[expected["reading"]].to_dict()
    if not expected["safe"] and order["letters"]:
        return failure("it was given up, and nothing else repairs what it left undone")
    if not order["quiet"] or not order["ended"]:
        return doubt("the order was still under way")
    if order["wrong_after"]:
        return failure("the order ended wrong")
    if expected["safe"]:
        return SETTLED if order["letters"] else doubt("no dead letter was written")
    if not order["waited"]:
        return doubt("no delivery was seen to wait")
    return SETTLED if order["wrong"] else failure("nothing was wrong while it waited")


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the matrix: for each reading what the checker predicts, and what was seen while the event was poisoned."""
    last = samples[samples["attempt"] == samples["attempt"].max()].set_index("reading")
    given_up = int((last["letters"] > 0).sum())
    figure, (ax,) = canvas(
        f"{given_up} of {len(last)} poisoned events given up, {int(last['wrong_after'].sum())} orders ended wrong",
        runtime=last["runtime"].iloc[0],
        note="one order for each reading",
        height=1.6 + 0.42 * len(prediction),
    )
    columns = {0.0: "reading", 0.24: "the checker, when it is given up", 0.68: "measured"}
    for x, text in columns.items():
        ax.text(x, 0.55, text, weight="bold", size=9)
    for row in prediction.to_dict("records"):
        y = -row_number(prediction, row["reading"]) - 0.2
        order = last.loc[row["reading"]].to_dict()
        found = f"a wrong state after {row['steps']} steps" if row["steps"] else "nothing wrong"
        ax.text(0.0, y, row["reading"], size=9)
        ax.text(0.24, y, found, size=8.5, color=INK if row["safe"] else FAULT_TEXT)
        colour = BLUE if order["letters"] else ORANGE
        ax.plot([0.67], [y + 0.12], "o" if order["letters"] else "s", ms=7, color=colour)
        seen = "dead letter" if order["letters"] else "partition waits"
        state = "wrong" if order["wrong"] else "right"
        end = "wrong" if order["wrong_after"] else "right"
        text = f"{seen}; meanwhile {state}, in the end {end}"
        ax.text(0.69, y, text, size=8.5, color=FAULT_TEXT if order["wrong_after"] else INK)
        ax.axhline(y - 0.3, color=SOFT, linewidth=0.6)
    ax.set_xlim(-0.01, 1.08)
    ax.set_ylim(-len(prediction), 1.0)
    ax.set_axis_off()
    return figure


def row_number(prediction: pd.DataFrame, reading: str) -> int:
    """Return the number of a reading's row in the figure, from 0."""
    return int(prediction.index[prediction["reading"] == reading][0])
