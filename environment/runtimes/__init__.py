"""The contract of a runtime: what the environment asks of Docker, or of plain processes, and nothing more.

A runtime belongs to one session's supervisor. It knows replicas by id (`user-service-1`), keeps each one's address
until the replica is removed, and labels all it makes with the session and its supervisor, so that whoever comes
later can tell what is ours and whether anybody still wants it. `tests/environment/test_runtime_contract.py` holds
every implementation to this page.
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

    `replica` counts from 1 and is part of the id. `service.environment` is already what the replica shall see,
    except for addresses, which each runtime translates into its own. `files` (path and content) lie on its volume
    before it starts.
    """

    service: Service
    replica: int
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return replica_id(self.service.name, self.replica)


@dataclass(frozen=True)
class Address:
    """Where one port of a replica is, each as `host:port`: from this machine, from other replicas, and for the program
    itself, to listen on."""

    outside: str
    inside: str
    listen: str


@dataclass(frozen=True)
class Status:
    """What a runtime knows of one replica. `exit_code` is None while it runs (or when nobody knows)."""

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
    """The id of the n-th replica of a service, counted from 1."""
    return f"{service}-{replica}"


class Runtime(Protocol):
    """Starts, stops, harms and removes replicas. Methods raise `environment.errors.LabError` with a next step."""

    name: RuntimeKind

    @property
    def proxy_source(self) -> str | None:
        """The address nginx must connect from, so that nobody passes for it; None when its own address will do."""

    def prepare(self, services: Sequence[Service], say: Say) -> None:
        """Makes ready what the replicas need before the first start (images, a network)."""

    def reserve(
        self,
        service: Service,
        replica: int,
        *,
        names: Sequence[str] = (),
        fixed: Mapping[int, int] | None = None,
    ) -> dict[int, Address]:
        """The addresses of a replica, by described port; they stay the same until `remove`.

        `names` are those by which other replicas look for it. `fixed` asks for host ports by described port;
        `PortBusy` when another program holds one.
        """

    def start(self, launch: Launch) -> None:
        """Starts a replica at its reserved address, in place of one of the same id that ran before.

        Returns as soon as it runs, without waiting until it is ready. Starting a running replica is an error of
        the caller. What is on its volume stays.
        """

    def stop(self, replica: str, grace: float) -> None:
        """SIGTERM, and SIGKILL after `grace` seconds; returns when it has ended. Harmless when it has."""

    def kill(self, replica: str) -> None:
        """SIGKILL now; returns when it has ended."""

    def reload(self, replica: str, files: Mapping[str, bytes]) -> None:
        """Puts files (path and content) on the volume of a running replica, and sends it SIGHUP."""

    def read(self, replica: str, path: str) -> bytes:
        """The content of a file on a replica's volume; empty when there is none."""

    def pause(self, replica: str) -> None:
        """Freezes a replica: it keeps its address and its connections, and answers nothing."""

    def resume(self, replica: str) -> None:
        """Lets a paused replica go on."""

    def remove(self, replica: str) -> None:
        """Kills what runs under this id and gives its address back. The service's volume stays."""

    def status(self, replica: str) -> Status:
        """The condition of a replica, now."""

    def usage(self, replica: str) -> Usage:
        """Memory and CPU time of a replica, now; zeros when it does not run."""

    def logs(self, replica: str, lines: int) -> str:
        """The last lines that the replica wrote, earlier lives included."""

    def destroy(self) -> None:
        """Removes everything that carries this session's label, until nothing of it appears any more."""
