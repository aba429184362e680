"""The contract of a runtime: what the environment asks of Docker, or of plain processes, and nothing more.

A runtime belongs to one session's supervisor. It finds replicas by id (`user-service-1`), keeps each one's address
until the replica is removed, and labels everything that it makes with the session and its supervisor, so that a later
sweep can decide what is ours and whether it is still in use. `tests/environment/test_runtime_contract.py` holds every
implementation to this page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from environment.compose import Service
from environment.progress import Say
from environment.states import Condition, RuntimeKind


@dataclass(frozen=True)
class Launch:
    """All that a runtime needs to start one replica: the service with this replica's settings filled in.

    `replica` counts from 1 and is part of the id. `service.environment` is already what the replica receives, except
    for addresses, which each runtime translates into its own. `files` (path and content) lie on its volume
    before it starts. `variables` are part of its environment as they are: nothing in them is taken for an address.
    """

    service: Service
    replica: int
    files: Mapping[str, bytes] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The replica's id, such as `user-service-1`."""
        return replica_id(self.service.name, self.replica)


@dataclass(frozen=True)
class Address:
    """The addresses of one port of a replica, each as `host:port`.

    `outside` is for clients on this machine, `inside` for other replicas, and `listen` for the program itself.
    """

    outside: str
    inside: str
    listen: str


@dataclass(frozen=True)
class Status:
    """The status of one replica. `exit_code` is None while it runs, or when it is unknown."""

    condition: Condition
    pid: int | None = None
    container: str | None = None
    exit_code: int | None = None


@dataclass(frozen=True)
class Usage:
    """What a replica uses: resident memory in bytes, and the CPU seconds it has used since it was started."""

    memory: int
    cpu_seconds: float


def replica_id(service: str, replica: int) -> str:
    """Return the id of the n-th replica of a service, counted from 1."""
    return f"{service}-{replica}"


class Runtime(Protocol):
    """Starts, stops, pauses and removes replicas. Methods raise `environment.errors.LabError` with a next step."""

    name: RuntimeKind

    @property
    def proxy_source(self) -> str | None:
        """The address nginx connects from, so that no client can pass for it; None when its own address will do."""

    def prepare(self, services: Sequence[Service], say: Say) -> None:
        """Make ready what the replicas need before the first start (images, a network)."""

    def reserve(
        self,
        service: Service,
        replica: int,
        *,
        names: Sequence[str] = (),
        fixed: Mapping[int, int] | None = None,
    ) -> dict[int, Address]:
        """Return the addresses of a replica, by described port; they stay the same until `remove`.

        `names` are those by which other replicas look for it. `fixed` asks for host ports by described port;
        `PortBusy` when another program holds one.
        """

    def start(self, launch: Launch) -> None:
        """Start a replica at its reserved address, in place of one of the same id that ran before.

        Return as soon as it runs, without waiting until it is ready. Starting a running replica is an error of
        the caller. What is on its volume stays.
        """

    def stop(self, replica: str, grace: float) -> None:
        """Send its signal to stop, and SIGKILL after `grace` seconds; return when it has ended. Harmless if it has."""

    def kill(self, replica: str) -> None:
        """Send SIGKILL now; return when it has ended."""

    def reload(self, replica: str, files: Mapping[str, bytes]) -> None:
        """Put files (path and content) on the volume of a running replica, and send it SIGHUP."""

    def read(self, replica: str, path: str) -> bytes:
        """Return the content of a file on a replica's volume; empty when there is none."""

    def pause(self, replica: str) -> None:
        """Freeze a replica: it keeps its address and its connections, and answers nothing."""

    def resume(self, replica: str) -> None:
        """Resume a paused replica."""

    def remove(self, replica: str) -> None:
        """Kill what runs under this id and give its address back. The service's volume stays."""

    def status(self, replica: str) -> Status:
        """Return the condition of a replica, now."""

    def usage(self, replica: str) -> Usage:
        """Return memory and CPU time of a replica, now; zeros when it does not run."""

    def logs(self, replica: str, lines: int) -> str:
        """Return the last lines that the replica wrote, earlier lives included."""

    def destroy(self) -> None:
        """Remove everything that carries this session's label, until nothing of it appears any more."""
