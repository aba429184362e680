"""Crash points: every moment at which a participant may be killed, and one kill at such a moment."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from environment.verbs import Point
from environment.waiting import wait_until
from labs.experiments.phase5 import coin
from labs.experiments.phase5.log_lines import read_lines
from labs.experiments.phase5.names import (
    COMPLETED,
    DEADLINE,
    INVENTORY,
    INVENTORY_FAILED,
    ORDERS,
    OUTCOMES,
    PAID,
    PARTICIPANTS,
    PAYMENT_FAILED,
    PAYMENTS,
    REFUND,
    SWEEP,
    short,
)
from labs.experiments.phase5.orders import place
from labs.experiments.phase5.rest import wait_for_quiet

if TYPE_CHECKING:
    from environment import Environment

EXIT_CODE = 137
"""Of a process that SIGKILL ended, or a crash point."""

CRASHED = "crash point"
"""The last line in the log of a service that ended at a point, with the point, the event and the count of passes."""

HIT_SECONDS = 60.0
"""Longest wait for the event to come to its point: longer than the grace of a deadline on a busy machine."""

LOG_LINES = 400

RANDOM = "at random"


class Kill(NamedTuple):
    """One kill: where, at which point, of which event, while an order with this outcome is under way.

    `step` is what the participant does: the event type that it reads, `refund`, `deadline`, or `POST /orders`.
    """

    service: str
    at: Point
    event: str
    step: str
    outcome: str

    @property
    def name(self) -> str:
        """The name of this kill, for a person."""
        return f"{short(self.service)}, {self.step}: {self.at}"


READINGS = (
    (PAYMENTS, "OrderCreated", COMPLETED, "PaymentCompleted"),
    (PAYMENTS, "InventoryFailed", INVENTORY_FAILED, None),
    (PAYMENTS, "OrderCancelled", INVENTORY_FAILED, None),
    (PAYMENTS, "OrderConfirmed", COMPLETED, None),
    (INVENTORY, "PaymentCompleted", COMPLETED, "InventoryReserved"),
    (INVENTORY, "OrderConfirmed", COMPLETED, None),
    (INVENTORY, "OrderCancelled", INVENTORY_FAILED, None),
    (ORDERS, "PaymentFailed", PAYMENT_FAILED, "OrderCancelled"),
    (ORDERS, "InventoryFailed", INVENTORY_FAILED, "OrderCancelled"),
    (ORDERS, "InventoryReserved", COMPLETED, "OrderConfirmed"),
)
"""Every reading: the participant, what it reads, an outcome in which that happens, and what it publishes then."""


def every_kill() -> Iterator[Kill]:
    """Yield a kill at every point of every reading, of the refunds, of the deadline and of `POST /orders`."""
    for service, event, outcome, published in READINGS:
        yield Kill(service, "begun", event, event, outcome)
        yield Kill(service, "committed", event, event, outcome)
        if published:
            yield Kill(service, "sent", published, event, outcome)
    yield from (
        Kill(PAYMENTS, "begun", REFUND, REFUND, INVENTORY_FAILED),
        Kill(PAYMENTS, "committed", REFUND, REFUND, INVENTORY_FAILED),
        Kill(PAYMENTS, "sent", "PaymentRefunded", REFUND, INVENTORY_FAILED),
        Kill(ORDERS, "begun", SWEEP, SWEEP, DEADLINE),
        Kill(ORDERS, "committed", SWEEP, SWEEP, DEADLINE),
        Kill(ORDERS, "sent", "OrderCancelled", SWEEP, DEADLINE),
        Kill(ORDERS, "committed", "OrderCreated", "POST /orders", COMPLETED),
        Kill(ORDERS, "sent", "OrderCreated", "POST /orders", COMPLETED),
    )


QUICK = (
    "payment, OrderCreated: begun",
    "order, InventoryReserved: committed",
    "inventory, PaymentCompleted: sent",
    "payment, refund: committed",
)
"""Kills that show one of each kind."""


def kill(env: Environment, one: Kill) -> dict[str, Any]:
    """Place an order, end its participant at the point, start it again, and wait until nothing is under way.

    Returns:
        `order`, `outcome` (the coin's), `hit` (whether the process ended with the exit code and a line for this very
        point), `again` (how often the event passed after the restart), `quiet`.
    """
    wanted = COMPLETED if one.outcome == DEADLINE else one.outcome
    user = f"user-{uuid.uuid4().hex[:8]}"
    key = next(coin.keys_of(wanted, seed=env.seed, user=user))
    lines = _crashes(env, one)
    with ExitStack() as blocks:
        overdue = ["*"] if one.outcome == DEADLINE else []
        if overdue:  # it has to be pending when its deadline comes
            blocks.enter_context(env[INVENTORY].held({PAID: ["*"]}))
        with env[one.service].crashing(one.at, one.event, overdue=overdue):
            placed = place(env, [key], user=user)
            codes = wait_until(
                lambda: _exit_codes(env, one.service), timeout=HIT_SECONDS, every=0.1
            )
            hit = EXIT_CODE in (codes or []) and _crashes(env, one) > lines
    if not placed:  # the response was lost, so the client asks again, with the same key
        placed = place(env, [key], user=user)
    quiet = wait_for_quiet(env)
    return {
        "order": placed.get(key, ""),
        "outcome": wanted,
        "hit": hit,
        "again": _passed(env, one),
        "quiet": quiet,
    }


def kill_at_random(env: Environment, chosen: random.Random) -> tuple[str, list[dict[str, Any]]]:
    """Place an order of each outcome, and kill a participant at a random moment.

    Returns:
        The participant, and the facts of `kill` for each of the orders.
    """
    service, seconds = chosen.choice(PARTICIPANTS), chosen.uniform(0, 0.3)
    user = f"user-{uuid.uuid4().hex[:8]}"
    keys = {outcome: next(coin.keys_of(outcome, seed=env.seed, user=user)) for outcome in OUTCOMES}
    began = time.monotonic()
    placed = place(env, keys.values(), user=user)
    wait_until(lambda: time.monotonic() - began >= seconds, timeout=seconds)
    with env[service].killed():
        pass
    placed |= place(env, [key for key in keys.values() if key not in placed], user=user)
    quiet = wait_for_quiet(env)
    facts = {"hit": True, "again": 0, "quiet": quiet}
    return service, [
        {"order": placed.get(key, ""), "outcome": outcome, **facts} for outcome, key in keys.items()
    ]


def _exit_codes(env: Environment, service: str) -> list[int | None]:
    """Return the exit codes of the replicas that have ended."""
    return [each.exit_code for each in env[service].replicas if each.condition == "exited"]


def _crashes(env: Environment, one: Kill) -> int:
    lines = read_lines(env[one.service].logs(LOG_LINES * 100), CRASHED)
    return sum((line["at"], line["event"]) == (one.at, one.event) for line in lines)


def _passed(env: Environment, one: Kill) -> int:
    """Return how often the event passed its point since the restart; where it was not committed, the next one."""
    at = "committed" if one.at == "begun" else one.at
    reports = env[one.service].points().values()
    return sum(report["passed"].get(at, {}).get(one.event, 0) for report in reports)
