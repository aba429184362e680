"""The healthy system in which a mystery breaks one thing, and short ways to its parts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import httpx

from environment.errors import LabError
from environment.waiting import wait_until

if TYPE_CHECKING:
    from environment.client.environment import Environment
    from environment.client.targets import Replica

GATEWAY, USERS, ORDERS, PAYMENTS = (
    "api-gateway",
    "user-service",
    "order-service",
    "payment-service",
)
NOTIFICATIONS, ANALYTICS = "notification-service", "analytics-service"

CREATED, PAID = "order-created", "payment-completed"
"""The topics of an order's first event, and of its payment."""

PAYMENTS_GROUP = f"{PAYMENTS}-group"

LIMIT_REQUESTS, LIMIT_SECONDS = 5, 2

HEALTHY: dict[str, tuple[int, dict[str, object]]] = {
    GATEWAY: (
        2,
        {
            "COUNTER_STORE": "incr",
            "LIMIT_STORE": "valkey",
            "LIMIT_WINDOW": "moving",
            "LIMIT_REQUESTS": LIMIT_REQUESTS,
            "LIMIT_SECONDS": LIMIT_SECONDS,
        },
    ),
    USERS: (2, {"USER_SECONDS": 0}),
    ORDERS: (2, {"OUTBOX": "on"}),
    PAYMENTS: (
        2,
        {
            "INBOX": "on",
            "PAYMENT_SECONDS": 1,
            "PAYMENT_SLOTS": 0,
            "RETRY_TRIES": 3,
            "RETRY_BACKOFF_SECONDS": 0.2,
        },
    ),
    NOTIFICATIONS: (1, {}),
    ANALYTICS: (1, {}),
}
"""Replicas and settings by service."""

REPLICAS = tuple(
    f"{service}-{number}"
    for service in (GATEWAY, USERS, ORDERS, PAYMENTS)
    for number in range(1, HEALTHY[service][0] + 1)
)

PATHS = {
    GATEWAY: "/api/non-blocking",
    USERS: "/users",
    ORDERS: "/orders",
    PAYMENTS: "/ledger",
}
"""A request to each service that changes nothing and that no other service answers."""

RESPONSE_SECONDS = 10.0

connect = partial(httpx.Client, timeout=RESPONSE_SECONDS, trust_env=False)


def prepare(env: Environment) -> None:
    """Give each service its replicas and settings of `HEALTHY`, and let nginx take turns."""
    for service, (replicas, settings) in HEALTHY.items():
        # Only one replica has to be replaced then; the others start with its settings.
        env.scale(service, 1)
        if settings:
            env.configure(service, **settings)
        env.scale(service, replicas)
    env.balance("round_robin")


def require_whole(env: Environment) -> None:
    """Raise `LabError` unless this is a running phase 4 with all of its services."""
    if not env.running:
        raise LabError("A mystery needs a running system. Start it first: `env.start()`.")
    if env.phase != "phase4" or not {*HEALTHY, "nginx", "kafka", "valkey"} <= {*env.services}:
        raise LabError(
            'A mystery needs all services of phase 4: `env = Environment("phase4").start()`, without `only`.'
        )


def replica(env: Environment, name: str) -> Replica | None:
    """Return the replica of that id; None when the service no longer has it."""
    service = name.rpartition("-")[0]
    return next((each for each in env[service].replicas if each.id == name), None)


def place_orders(env: Environment, count: int) -> list[str]:
    """Place orders; return their ids once each was accepted."""
    body = {"userId": "mystery", "items": [{"productId": "prod-1", "quantity": 1, "price": 2.0}]}
    with connect() as client:
        url = f"{env[ORDERS].url}/orders"
        answers = [client.post(url, json=body).raise_for_status() for _ in range(count)]
    return [str(answer.json()["id"]) for answer in answers]


def completed(env: Environment, order: str, *, seconds: float) -> bool:
    """Wait until an order is completed; return whether it is, within `seconds`."""
    with connect() as client:

        def is_completed() -> bool:
            answer = client.get(f"{env[ORDERS].url}/orders/{order}")
            return answer.is_success and answer.json()["status"] == "completed"

        return bool(wait_until(is_completed, timeout=seconds, every=0.1))


def unpublished(env: Environment, service: str) -> float:
    """Return how many events wait in the outbox of a service, which its replicas share."""
    with connect() as client:
        text = client.get(f"{env[service].replicas[0].url}/metrics").raise_for_status().text
    lines = [line for line in text.splitlines() if line.startswith("outbox_events ")]
    return sum(float(line.partition(" ")[2]) for line in lines)


def lag(env: Environment, group: str, topic: str | None = None) -> int:
    """Return how many messages a group has left, of one topic or of all."""
    table = env.kafka.lag(group)
    return int((table if topic is None else table[table["topic"] == topic])["lag"].sum())


def messages_of(env: Environment, topic: str, order: str) -> list[Any]:
    """Return as rows the latest messages of a topic whose key is this order."""
    table = env.kafka.read(topic, offset="latest", limit=50)
    rows: list[Any] = table[table["key"] == order].to_dict("records")
    return rows
