"""The state of a session, as its supervisor reports it and `lab ps --json` prints it.

These are `TypedDict`s, not models: they are the JSON itself, so they cross the socket without a conversion, and type
checkers see every key.
"""

from typing import Literal, TypedDict

RuntimeKind = Literal["docker", "process"]

Condition = Literal["running", "paused", "exited", "absent"]


class ReplicaState(TypedDict):
    """One replica. `memory` in bytes; `began` in Unix seconds; `readySeconds` from then until it was ready.

    `exitCode` is that of a replica which has ended, None while it runs: 137 after SIGKILL, and at a crash point.
    """

    id: str
    url: str
    pid: int | None
    container: str | None
    ready: bool
    condition: Condition
    exitCode: int | None
    version: str
    memory: int
    began: float | None
    readySeconds: float | None
    cpuSeconds: float | None


class ServiceState(TypedDict):
    """One service: its version (all of them, such as `"1, 2"`, during a roll), its address and its replicas."""

    version: str
    url: str
    replicas: list[ReplicaState]


class KafkaState(TypedDict):
    """Where clients on this machine reach the broker."""

    bootstrap: str


class SessionState(TypedDict):
    """Everything that `lab ps --json` prints. `url` is the front door's; `data` the folder of state and logs.

    `replaced` has the services with other code: what is replaced, and the first 12 digits of the source's SHA-256.
    """

    session: str
    runtime: RuntimeKind | None
    reason: str | None
    phase: str
    seed: int
    token: str
    url: str | None
    services: dict[str, ServiceState]
    replaced: dict[str, str]
    kafka: KafkaState | None
    data: str


class Timing(TypedDict):
    """One start of one replica: `began` and `ready` in Unix seconds, and the CPU time until it was ready."""

    service: str
    replica: str
    began: float
    ready: float
    seconds: float
    cpu_seconds: float | None


class HeldEvent(TypedDict):
    """An event that a fault holds."""

    topic: str
    orderId: str


class Points(TypedDict):
    """What a replica's points report: how often each event passed each point since its start, and what is held now.

    `passed` maps `begun`, `committed` and `sent` to counts by event type.
    """

    passed: dict[str, dict[str, int]]
    held: list[HeldEvent]


class AccessLog(TypedDict):
    """nginx's access log: `lines` as nginx wrote them, and the replica at each address that occurs in them."""

    lines: str
    replicas: dict[str, str]
