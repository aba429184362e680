"""The state of a session, as its supervisor reports it and `lab ps --json` prints it.

These are `TypedDict`s, not models: they are the JSON itself, so they cross the socket without a conversion, and type
checkers see every key.
"""

from typing import Literal, TypedDict

RuntimeKind = Literal["docker", "process"]

Condition = Literal["running", "paused", "exited", "absent"]


class ReplicaState(TypedDict):
    """One replica. `memory` in bytes; `began` in Unix seconds; `readySeconds` from then until it was ready."""

    id: str
    url: str
    pid: int | None
    container: str | None
    ready: bool
    condition: Condition
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
    """Everything that `lab ps --json` prints. `url` is the front door's; `data` the folder of state and logs."""

    session: str
    runtime: RuntimeKind | None
    reason: str | None
    phase: str
    seed: int
    token: str
    url: str | None
    services: dict[str, ServiceState]
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


class AccessLog(TypedDict):
    """nginx's access log: `lines` as nginx wrote them, and the replica at each address that occurs in them."""

    lines: str
    replicas: dict[str, str]
