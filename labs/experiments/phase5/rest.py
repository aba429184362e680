"""Rest: nothing is under way any more, so that sums may be compared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import httpx

from environment.waiting import wait_until
from labs.client import new_client
from labs.experiments.phase5.names import (
    ANALYTICS,
    INVENTORY,
    NOTIFICATIONS,
    ORDERS,
    PARTICIPANTS,
    PAYMENTS,
    group_of,
)

if TYPE_CHECKING:
    from environment import Environment

GAUGES = {
    ORDERS: ("outbox_events", "sagas_pending"),
    PAYMENTS: ("outbox_events", "refunds_owed"),
    INVENTORY: ("outbox_events", "reservations_open"),
}
"""What each participant's database must hold none of. `/metrics` shows the numbers."""

READERS = (*PARTICIPANTS, ANALYTICS, NOTIFICATIONS)
"""The services that consume events."""

RESPONSE_SECONDS = 10.0

EVERY = 0.2
"""Seconds between two looks."""


def wait_for_rest(env: Environment, *, seconds: float = 30) -> bool:
    """Wait until the system is at rest in two looks, one after the other; return whether it is, within `seconds`.

    One look may be wrong: an event can move from an outbox to a lag between two of its numbers.
    """
    before = False

    def twice() -> bool:
        nonlocal before
        first, before = before, is_at_rest(env)
        return first and before

    return bool(wait_until(twice, timeout=seconds, every=EVERY))


def wait_for_quiet(env: Environment, *, seconds: float = 60) -> bool:
    """Wait until nothing is under way, whatever is still set aside on the shelf; return whether that was reached.

    A wrong system may keep a reservation for ever: it never comes to rest, and yet nothing will change any more.
    """
    before = False

    def twice() -> bool:
        nonlocal before
        first, before = before, is_quiet(env)
        return first and before

    return bool(wait_until(twice, timeout=seconds, every=EVERY))


def is_quiet(env: Environment) -> bool:
    """Return whether every event was consumed, and no outbox, pending order or refund waits."""
    gauges = read_gauges(env)
    waiting = {value for (_, name), value in gauges.items() if name != "reservations_open"}
    return waiting == {0.0} and unread(env) == 0


def is_at_rest(env: Environment) -> bool:
    """Return whether every event was consumed, and no database holds anything that is still to be done."""
    return set(read_gauges(env).values()) == {0.0} and unread(env) == 0


def have_caught_up(env: Environment, services: Sequence[str]) -> bool:
    """Return whether these services have consumed all there is, and published all that they have to report."""
    outboxes = dict.fromkeys(services, ("outbox_events",))
    return set(read_gauges(env, outboxes).values()) == {0.0} and unread(env, services) == 0


def read_gauges(
    env: Environment, gauges_of: Mapping[str, Sequence[str]] = GAUGES
) -> dict[tuple[str, str], float]:
    """Return gauges by service and name. One that a service does not show is not a number."""
    gauges: dict[tuple[str, str], float] = {}
    with new_client(RESPONSE_SECONDS) as client:
        for service, names in gauges_of.items():
            values = read_metrics(client, env[service].url)
            gauges |= {(service, name): values.get(name, math.nan) for name in names}
    return gauges


def read_metrics(client: httpx.Client, url: str) -> dict[str, float]:
    """Return the metrics of a service that have no label, by their names."""
    text = client.get(f"{url}/metrics").raise_for_status().text
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return {line[0]: float(line[1]) for line in lines if len(line) == 2}


def unread(env: Environment, services: Sequence[str] = READERS) -> int:
    """Return the number of messages that those of these services which run here have not processed yet."""
    groups = [group_of(service) for service in services if service in env.services]
    lags = env.kafka.lag()
    return int(lags.loc[lags["group"].isin(groups), "lag"].sum())
