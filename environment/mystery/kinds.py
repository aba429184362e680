"""The ten kinds of faults: what each does, where it can be, how it begins and ends, and what its symptom is."""

from __future__ import annotations

import ast
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from environment.errors import LabError
from environment.mystery import symptoms
from environment.mystery.healthy import (
    ANALYTICS,
    CREATED,
    GATEWAY,
    HEALTHY,
    NOTIFICATIONS,
    ORDERS,
    PAYMENTS,
    REPLICAS,
    USERS,
    connect,
    replica,
)
from environment.replacing.originals import find_original

if TYPE_CHECKING:
    from environment.client.environment import Environment
    from environment.client.targets import Replica

PARTITIONS = tuple(f"{CREATED}/{number}" for number in range(6))

FAULT_SECONDS = 0.5
"""The delay of each request to a slow replica."""

FAILING_SHARE = 0.5
"""The share of requests that a failing replica refuses."""

PATIENCE: dict[str, object] = {"RETRY_TRIES": 10, "RETRY_BACKOFF_SECONDS": 10}
"""With these a poisoned event keeps its partition for minutes, before it becomes a dead letter."""

FIRST = "kit.events.partition.Partition._accept"
"""What a consumer does with a message that it has received."""

Begin = Callable[["Environment", str], AbstractContextManager[object]]


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    `sentence` is what a student reads before choosing. `begin(env, place)` is a block in which the fault
    stands. `symptom(env, place)` measures whether its symptom is there.
    """

    name: str
    sentence: str
    places: tuple[str, ...]
    begin: Begin
    symptom: Callable[[Environment, str], bool]


def slow(env: Environment, place: str) -> AbstractContextManager[object]:
    """Make each request to a replica wait."""
    return _replica(env, place).slowed(FAULT_SECONDS)


def fail(env: Environment, place: str) -> AbstractContextManager[object]:
    """Make a replica refuse a share of the requests."""
    return _replica(env, place).failing(503, FAILING_SHARE)


@contextmanager
def leave_stale(env: Environment, place: str) -> Iterator[None]:
    """Remove a replica, and leave its address in nginx's list."""
    replicas, _ = HEALTHY[place]
    try:
        env.scale(place, replicas + 1)
        env.scale(place, replicas, reload=False)
        yield
    finally:
        if env.running:
            env.balance("round_robin", place)


def setting(**broken: object) -> Begin:
    """Return the fault of a service that runs with other settings than those of `HEALTHY`."""
    return lambda env, place: configured(env, place, broken)


@contextmanager
def configured(env: Environment, service: str, broken: dict[str, object]) -> Iterator[None]:
    """Run a service with other settings; the block's end restores those of `HEALTHY`."""
    _, settings = HEALTHY[service]
    try:
        env.configure(service, **broken)
        yield
    finally:
        if env.running:
            env.configure(service, **{name: settings[name] for name in broken})


@contextmanager
def poison(env: Environment, place: str) -> Iterator[None]:
    """Publish an order that was charged another amount: payment-service tries it again and again.

    With the healthy settings, at the block's end, it becomes a dead letter.
    """
    order, item = str(uuid.uuid4()), {"productId": "prod-1", "quantity": 1, "price": 2.0}
    topic, _, partition = place.partition("/")
    with configured(env, PAYMENTS, PATIENCE):
        with connect() as client:
            charge = {"orderId": order, "amount": 1.0}
            client.post(f"{env[PAYMENTS].url}/pay", json=charge).raise_for_status()
        event = {
            "eventType": "OrderCreated",
            "eventId": str(uuid.uuid4()),
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "correlationId": order,
            "causationId": None,
            "version": 1,
            "data": {"orderId": order, "userId": "mystery", "items": [item], "total": 2.0},
        }
        env.kafka.produce(topic, event, key=order, partition=int(partition))
        yield


def hold(env: Environment, place: str) -> AbstractContextManager[object]:
    """Hold the events that a service consumes, before it does anything with them."""
    return env[place].held({CONSUMED[place]: ["*"]})


CONSUMED = {NOTIFICATIONS: "notification-requested", ANALYTICS: "order-confirmed"}
"""A topic of each service that can be stuck."""


def hold_relay(env: Environment, place: str) -> AbstractContextManager[object]:
    """Publish nothing of what a service writes into its outbox."""
    return env[place].held(relay=True)


def commit_first(env: Environment, place: str) -> AbstractContextManager[object]:
    """Store the offset of each message when it is received, and not when its work is done."""
    accept = find_original(place, FIRST).node
    accept.body[:0] = ast.parse("self._move_past(delivery.message)").body
    return env[place].replaced(FIRST, ast.unparse(accept))


def _replica(env: Environment, place: str) -> Replica:
    found = replica(env, place)
    if found is None:
        raise LabError(f"{place} does not run any more. Begin the mystery again.")
    return found


KINDS = (
    Kind(
        "slow replica",
        "One replica takes half a second longer for each request; the other replicas of its service do not.",
        REPLICAS,
        slow,
        symptoms.answers_slowly,
    ),
    Kind(
        "failing replica",
        "One replica refuses about half of its requests with a 503, although it reports that it is ready.",
        REPLICAS,
        fail,
        symptoms.answers_with_errors,
    ),
    Kind(
        "stale upstream",
        "A replica has left, and nginx still has its address: some requests are first sent to it.",
        (GATEWAY, USERS),
        leave_stale,
        symptoms.tries_the_dead,
    ),
    Kind(
        "limiter per replica",
        "Each replica of the gateway counts requests for the rate limit by itself, so that together they admit more.",
        (GATEWAY,),
        setting(LIMIT_STORE="memory"),
        symptoms.admits_too_many,
    ),
    Kind(
        "lost updates",
        "The counter reads, adds one and writes back: two calls at the same time get the same number.",
        (GATEWAY,),
        setting(COUNTER_STORE="getset"),
        symptoms.counts_twice,
    ),
    Kind(
        "poisoned partition",
        "A message that cannot be processed keeps its partition, and the messages behind it wait.",
        PARTITIONS,
        poison,
        symptoms.partition_waits,
    ),
    Kind(
        "stuck consumer",
        "A service receives the events of a topic and does nothing with them; orders are completed all the same.",
        (NOTIFICATIONS, ANALYTICS),
        hold,
        symptoms.group_waits,
    ),
    Kind(
        "silent relay",
        "A service writes events into its outbox, and publishes none of them.",
        (ORDERS, PAYMENTS),
        hold_relay,
        symptoms.outbox_waits,
    ),
    Kind(
        "missing inbox",
        "An event that is delivered twice has its effect twice.",
        (PAYMENTS,),
        setting(INBOX="off"),
        symptoms.pays_twice,
    ),
    Kind(
        "consumer that commits first",
        "A service commits an offset when it receives a message, so that its death loses the work it has begun.",
        (PAYMENTS,),
        commit_first,
        symptoms.commits_before_it_pays,
    ),
)
"""The ten kinds: a seed chooses one of them, and a student guesses one."""
