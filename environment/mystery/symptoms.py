"""Symptoms: for each kind of fault one measurement that is true under the fault, and false in the healthy system.

Each takes the environment and a place, asks the running system from outside as a student would, and returns within ten
seconds. `mystery.repaired()` uses them; `tests/environment/test_mystery.py` tests each of them.
"""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from environment.errors import LabError
from environment.mystery import healthy
from environment.mystery.healthy import (
    CREATED,
    LIMIT_REQUESTS,
    LIMIT_SECONDS,
    PAID,
    PATHS,
    PAYMENTS,
    PAYMENTS_GROUP,
    connect,
)
from environment.waiting import wait_until

if TYPE_CHECKING:
    from environment.client.environment import Environment

SLOW_SECONDS = 0.3
"""A request that takes longer is slow, also on a busy machine when five in a row do."""

DONE_SECONDS = 5.0
"""Time enough for an order, whose payment takes one second."""

REST_SECONDS = 3.0
"""Time enough for a group to process what is left."""

PASS_OVER_SECONDS = 2.5
"""nginx passes over a dead address for up to 2 s after a failure."""


def answers_slowly(env: Environment, place: str) -> bool:
    """Each of five requests to the replica takes long."""
    return all(seconds > SLOW_SECONDS for seconds, _ in _requests(env, place, 5))


def answers_with_errors(env: Environment, place: str) -> bool:
    """Of twenty requests to the replica some get a 5xx."""
    return any(status >= 500 for _, status in _requests(env, place, 20))


def tries_the_dead(env: Environment, place: str) -> bool:
    """For some requests nginx tries a replica of the service that no longer exists."""
    mark, sent = f"mystery-{uuid.uuid4()}", 0
    began = time.monotonic()
    with connect(headers={"X-Correlation-Id": mark}) as client:

        def send() -> bool:
            nonlocal sent
            client.get(env[place].url + PATHS[place])
            sent += 1
            return time.monotonic() - began > PASS_OVER_SECONDS

        wait_until(send, timeout=PASS_OVER_SECONDS + 1, every=0.1)

    # Other services log too, so the requests of this function are found by their mark, and not at the end of the log.
    def own() -> list[list[str]]:
        log = env.access_log()
        return list(log.loc[log["correlation_id"].eq(mark) & log["service"].eq(place), "attempts"])

    wait_until(lambda: len(own()) == sent, timeout=2)
    alive = {replica.id for replica in env[place].replicas}
    return any(set(attempts) - alive for attempts in own())


def admits_too_many(env: Environment, place: str) -> bool:
    """A burst of twenty requests is admitted more often than the limit allows."""
    quiet = time.monotonic() + LIMIT_SECONDS  # then no earlier request counts
    wait_until(lambda: time.monotonic() > quiet, timeout=LIMIT_SECONDS + 1)
    with connect() as client:
        began = time.monotonic()
        statuses = [client.get(f"{env[place].url}/api/limited").status_code for _ in range(20)]
        windows = 1 + (time.monotonic() - began) // LIMIT_SECONDS
    return statuses.count(200) > LIMIT_REQUESTS * windows


def counts_twice(env: Environment, place: str) -> bool:
    """Of two hundred calls at the same time some get the same number."""
    url = f"{env[place].url}/api/count"
    with connect() as client, ThreadPoolExecutor(16) as pool:
        answers = pool.map(client.get, [url] * 200)
        counts = [answer.raise_for_status().json()["count"] for answer in answers]
    return len(set(counts)) < len(counts)


def partition_waits(env: Environment, place: str) -> bool:
    """The group of payment-service does not get to the end of the partition."""
    topic, _, number = place.partition("/")

    def done() -> bool:
        table = env.kafka.lag(PAYMENTS_GROUP)
        chosen = table["topic"].eq(topic) & table["partition"].eq(int(number))
        return bool(table.loc[chosen, "lag"].sum() == 0)

    return not wait_until(done, timeout=REST_SECONDS, every=0.1)


def group_waits(env: Environment, place: str) -> bool:
    """An order is completed, and the group of the service does not get to the end of its topics."""
    (order,) = healthy.place_orders(env, 1)
    _require_completed(env, order)
    group = f"{place}-group"
    return not wait_until(lambda: healthy.lag(env, group) == 0, timeout=REST_SECONDS, every=0.1)


def outbox_waits(env: Environment, place: str) -> bool:
    """An order is not completed, and events stay in the outbox of the service."""
    (order,) = healthy.place_orders(env, 1)
    done = healthy.completed(env, order, seconds=DONE_SECONDS)
    return not done and healthy.unpublished(env, place) > 0


def pays_twice(env: Environment, place: str) -> bool:
    """An order whose event is published a second time is paid a second time."""
    (order,) = healthy.place_orders(env, 1)
    _require_completed(env, order)
    found = healthy.messages_of(env, CREATED, order)
    if not found:
        raise LabError("The event of an order is not among the newest messages.")
    event = found[0]
    env.kafka.produce(CREATED, event["value"], key=order)
    read = wait_until(
        lambda: (
            healthy.lag(env, PAYMENTS_GROUP, CREATED) == 0 and not healthy.unpublished(env, place)
        ),
        timeout=DONE_SECONDS,
        every=0.1,
    )
    if not read:
        raise LabError(f"An event is not processed within {DONE_SECONDS:.0f} s.")
    return len(healthy.messages_of(env, PAID, order)) > 1


def commits_before_it_pays(env: Environment, place: str) -> bool:
    """The group has a lag of zero while orders that it has received are not paid yet.

    The lag is read first: a group that commits afterwards has paid all of them by then.
    """
    count, ends, paid = 4, _end(env), _paid(env)
    healthy.place_orders(env, count)
    wait_until(lambda: _end(env) >= ends + count, timeout=DONE_SECONDS)

    looks = 0

    def seen() -> str | None:
        nonlocal looks
        looks += 1
        rest = healthy.lag(env, PAYMENTS_GROUP, CREATED)
        if _paid(env) - paid >= count:
            return "paid"
        return None if rest else "claimed"

    outcome = wait_until(seen, timeout=DONE_SECONDS)
    if outcome is None:
        raise LabError(f"{count} orders are neither read nor paid within {DONE_SECONDS:.0f} s.")
    if outcome == "paid" and looks == 1:
        raise LabError(f"{count} orders were paid before anything could be measured.")
    return outcome == "claimed"


def _require_completed(env: Environment, order: str) -> None:
    if not healthy.completed(env, order, seconds=DONE_SECONDS):
        raise LabError(f"An order is not completed within {DONE_SECONDS:.0f} s.")


def _requests(env: Environment, place: str, count: int) -> list[tuple[float, int]]:
    """Send requests to one replica; return seconds and status of each, none when the replica has left."""
    replica = healthy.replica(env, place)
    if replica is None:
        return [(0.0, 200)]
    url = replica.url + PATHS[place.rpartition("-")[0]]
    found = []
    with connect() as client:
        for _ in range(count):
            began = time.monotonic()
            status = client.get(url).status_code
            found.append((time.monotonic() - began, status))
    return found


def _end(env: Environment) -> int:
    return int(env.kafka.offsets(CREATED)["latest"].sum())


def _paid(env: Environment) -> int:
    """Return how many payments the running replicas have committed since they started."""
    passed = [points["passed"] for points in env[PAYMENTS].points().values()]
    return sum(each.get("committed", {}).get("OrderCreated", 0) for each in passed)
