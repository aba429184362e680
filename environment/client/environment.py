"""`Environment`: the course's vocabulary for starting, scaling, breaking and healing a system."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from environment.client.connection import Client, owner
from environment.client.progress import Progress
from environment.client.status import html_table, text_table
from environment.compose import COMPOSE_FILE, read_description
from environment.errors import LabError, SessionGone, UnknownName
from environment.nginx import Algorithm
from environment.phases import read_phase
from environment.specification import RuntimeName, Specification

if TYPE_CHECKING:
    import pandas as pd

    from environment.kafka.tools import Kafka


@dataclass
class Fault:
    """When a fault began and when it was healed, in Unix seconds. `ended` is None inside the block."""

    began: float
    ended: float | None = None


class _Target:
    """What faults can happen to: a service (all its replicas) or one replica. Each fault is a block, so it heals."""

    def __init__(self, environment: "Environment", name: str) -> None:
        self._environment, self._name = environment, name

    def killed(self) -> AbstractContextManager[Fault]:
        """SIGKILL at once; the block's end starts it again and waits until it is ready."""
        return self._block("kill")

    def stopped(self) -> AbstractContextManager[Fault]:
        """SIGTERM: it finishes what it has begun, then ends; the block's end starts it again."""
        return self._block("stop")

    def paused(self) -> AbstractContextManager[Fault]:
        """Frozen: it accepts connections and never answers; the block's end lets it go on."""
        return self._block("pause")

    def slowed(self, seconds: float) -> AbstractContextManager[Fault]:
        """Every request waits `seconds` before it is worked on."""
        return self._block("fault", fault={"seconds": seconds})

    def failing(self, status: int = 503, rate: float = 1.0) -> AbstractContextManager[Fault]:
        """A share `rate` (0 to 1) of the requests is answered with `status` at once."""
        return self._block("fault", fault={"status": status, "rate": rate})

    def logs(self, lines: int = 50) -> str:
        """The last `lines` that it wrote, earlier lives included."""
        return str(self._environment._call("logs", target=self._name, lines=lines))

    @contextmanager
    def _block(self, verb: str, **arguments: Any) -> Iterator[Fault]:
        with self._environment._one_fault(self._name, verb):
            fault = Fault(began=time.time())
            try:
                self._environment._call(verb, targets=[self._name], **arguments)
                yield fault
            finally:
                # Also after an interrupt, and after a fault that only half of the replicas took.
                self._heal()
                fault.ended = time.time()

    def _heal(self) -> None:
        try:
            if self._environment.running:
                self._environment._call("heal", targets=[self._name])
        except UnknownName:
            pass  # a replica that was scaled away inside the block


class Replica(_Target):
    """One running copy of a service, as it was when you asked.

    `memory` in bytes; `began` (Unix seconds) when its present life did, `ready_seconds` from then until it was ready,
    `cpu_seconds` the CPU time that took.
    """

    def __init__(self, environment: "Environment", row: Mapping[str, Any]) -> None:
        super().__init__(environment, row["id"])
        self.id: str = row["id"]
        self.url: str = row["url"]
        self.pid: int | None = row["pid"]
        self.container: str | None = row["container"]
        self.ready: bool = row["ready"]
        self.version: str = row["version"]
        self.memory: int = row["memory"]
        self.began: float | None = row["began"]
        self.ready_seconds: float | None = row["readySeconds"]
        self.cpu_seconds: float | None = row["cpuSeconds"]

    def __repr__(self) -> str:
        return f"<{self.id} version {self.version} at {self.url}, {'ready' if self.ready else 'not ready'}>"


class Service(_Target):
    """One service of a running environment. Addresses stay the same; everything else is asked anew each time."""

    @property
    def name(self) -> str:
        return self._name

    @property
    def version(self) -> str:
        """Its replicas' version; all of them, such as `"1, 2"`, while only some are replaced."""
        return str(self._row()["version"])

    @property
    def url(self) -> str:
        """Where to reach the service: its front at nginx, or its first replica where no nginx stands in front."""
        return str(self._row()["url"])

    @property
    def replicas(self) -> list[Replica]:
        return [Replica(self._environment, row) for row in self._row()["replicas"]]

    def __repr__(self) -> str:
        row = self._row()
        return f"<{self._name} version {row['version']}, {len(row['replicas'])} replica(s) at {row['url']}>"

    def _row(self) -> dict[str, Any]:
        row: dict[str, Any] = self._environment.state()["services"][self._name]
        return row


class Environment:
    """A system of services on this machine: one phase of the course, on Docker or on plain processes.

    Nothing runs until `start`. What was started ends with `stop`, with the `with` block, and with the process that
    made it, whatever happens to that.

    - `phase`: a file of `environment/phases/`, such as `"phase0"`.
    - `runtime`: `"docker"`, `"process"`, or `"auto"` for Docker where it can be had.
    - `seed`: decides every chance event in the services.
    - `versions`: `{"user-service": 2}`; else the phase's.
    - `only`: the services to run; else all of the phase.
    - `replicas`: `{"api-gateway": 3}`; else one of each.
    - `settings`: `{"payment-service": {"PAYMENT_SECONDS": 0.1}}`; else docker-compose.yml's.
    - `description`: another file in place of docker-compose.yml.
    """

    def __init__(
        self,
        phase: str,
        *,
        runtime: RuntimeName = "auto",
        seed: int = 7,
        versions: Mapping[str, int | str] | None = None,
        only: Iterable[str] = (),
        settings: Mapping[str, Mapping[str, object]] | None = None,
        replicas: Mapping[str, int] | None = None,
        description: Path = COMPOSE_FILE,
    ) -> None:
        self._spec = Specification.checked(
            phase=phase,
            runtime=runtime,
            seed=seed,
            only=tuple(only),
            versions={service: str(version) for service, version in (versions or {}).items()},
            settings={service: _settings(values) for service, values in (settings or {}).items()},
            replicas=dict(replicas or {}),
            description=description.absolute(),
        )
        described = read_description(description, variables=read_phase(phase)).services
        self._names = [name for name in described if not self._spec.only or name in self._spec.only]
        self._client: Client | None = None
        self._runtime: str | None = None
        self._kafka: Kafka | None = None
        self._changing = threading.RLock()
        self._faulty: dict[str, str] = {}

    @classmethod
    def attach(cls, session: str | None = None) -> "Environment":
        """Joins a running session (default: the only one). It does not end with this process."""
        client = Client.find(session)
        state = client.call("state")
        environment = cls(state["phase"], runtime=state["runtime"], seed=state["seed"])
        environment._names = list(state["services"])
        environment._client, environment._runtime = client, state["runtime"]
        return environment

    # -- what it is --

    @property
    def phase(self) -> str:
        return self._spec.phase

    @property
    def seed(self) -> int:
        return self._spec.seed

    @property
    def services(self) -> list[str]:
        """The names of the services."""
        return list(self._names)

    @property
    def session(self) -> str | None:
        """The session's name, by which `lab --session` and `attach` find it; None when nothing runs."""
        return self._client.session if self._client else None

    @property
    def runtime(self) -> str:
        """`"docker"` or `"process"`; before the start, what was asked for."""
        return self._runtime or self._spec.runtime

    @property
    def running(self) -> bool:
        return self._client is not None and self._client.alive()

    def state(self) -> dict[str, Any]:
        """Everything `lab ps --json` prints."""
        state: dict[str, Any] = self._call("state")
        return state

    @property
    def kafka(self) -> "Kafka":
        """The broker of a phase that has one: topics, messages, groups, lag, dead letters.

        Raises `LabError` where there is no Kafka.
        """
        from environment.kafka.tools import Kafka

        if self._kafka is None or not self.running:
            state = self.state()
            if state["kafka"] is None:
                raise LabError(
                    f"There is no Kafka in this session of {self.phase}. Phase 4 has one, unless `only` leaves it out: "
                    '`Environment("phase4")` or `lab up phase4`.'
                )
            bootstrap = str(state["kafka"]["bootstrap"])
            self._kafka = Kafka(bootstrap, page=lambda: str(self._call("kafka_page")))
        return self._kafka

    def status(self) -> "pd.DataFrame":
        """One row per service: service, version, replicas, ready, address, memory_mib."""
        import pandas as pd

        return pd.DataFrame(self._rows())

    def __getitem__(self, service: str) -> Service:
        if service not in self._names:
            raise KeyError(
                f"{service!r} is not in this environment; it has {', '.join(self._names)}"
            )
        return Service(self, service)

    def __repr__(self) -> str:
        return text_table(self._title(), self._rows())

    def _repr_html_(self) -> str:
        return html_table(self._title(), self._rows())

    # -- verbs --

    def start(self) -> Self:
        """Starts the phase's services; all are ready when this returns. What runs already stays as it is."""
        with self._changing:  # two threads start it once
            if not self.running:
                self._forget()
                specification = self._spec.model_copy(update={"owner": str(owner())})
                self._client = Client.launch(specification)
            try:
                self._runtime = self._call("start")["runtime"]
            except LabError:
                if not self.running:  # a start that failed later on leaves what runs
                    self._forget()
                raise
        return self

    def stop(self) -> None:
        """Drains and removes everything this environment started. Harmless when nothing runs."""
        with self._changing:
            if self._client is not None:
                with Progress() as say:
                    self._client.down(say)
            self._forget()

    def scale(self, service: str, replicas: int) -> Service:
        """Makes `replicas` (1 to 8) the number of replicas: a target, not a change."""
        self._call("scale", service=service, replicas=replicas)
        return self[service]

    def configure(self, service: str, **settings: object) -> Service:
        """Replaces the replicas in place, with other settings and the same addresses."""
        self._call("configure", service=service, settings=_settings(settings))
        return self[service]

    def roll(self, service: str, version: int | str, *, replicas: Iterable[int] = ()) -> Service:
        """Replaces the replicas one after the other by another version, at the same addresses.

        `replicas` are the numbers, from 1, of those to replace; else all of them.
        """
        self._call("roll", service=service, version=str(version), replicas=list(replicas))
        return self[service]

    def balance(
        self,
        algorithm: Algorithm,
        service: str | None = None,
        *,
        weights: Iterable[int] = (),
        max_fails: int = 1,
        fail_timeout: int = 1,
        backup: Iterable[int] = (),
        forwarded: bool = False,
    ) -> Self:
        """How nginx chooses among the replicas of `service`, or of every service.

        `weights` are the replicas' shares in their order, 1 where nothing is said; one of weight 0 stands by and gets
        nothing. A replica that failed `max_fails` times within `fail_timeout` (whole) seconds gets nothing for as long.
        `backup` are the numbers, from 1, of the replicas that are asked only when none of the others can be.

        With `forwarded`, `ip_hash` goes by the address that X-Forwarded-For names last, so that one machine can ask as
        many clients. The access log's `client` is that address; a service is told who really is connected.
        """
        shares = {"weights": list(weights), "backup": list(backup)}
        limits = {"max_fails": max_fails, "fail_timeout": fail_timeout, "forwarded": forwarded}
        self._call("balance", service=service, algorithm=algorithm, **shares, **limits)
        return self

    def access_log(self) -> "pd.DataFrame":
        """What nginx has answered so far, one row per request, in the order it finished them.

        Columns: time (Unix seconds, at its end), service, client, method, path, status, seconds, attempts (the
        replicas that were asked, in turn), correlation_id (X-Correlation-Id as the client sent it, else empty), replica
        (the last of the attempts; None when none could be).
        """
        from environment.nginx.access_log import read_access_log

        return read_access_log(**self._call("access_log"))

    def restart(self, *services: str) -> "pd.DataFrame":
        """Stops the services (all when none is named) and starts them again, all at the same time.

        One row per replica: service, replica, began and ready (Unix seconds), seconds, cpu_seconds.
        """
        import pandas as pd

        return pd.DataFrame(self._call("restart", targets=list(services or self._names)))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- inside --

    def _call(self, verb: str, **arguments: Any) -> Any:
        if self._client is None:
            raise LabError("This environment does not run. Start it first: `env.start()`.")
        with Progress() as say:
            return self._client.call(verb, say=say, **arguments)

    @contextmanager
    def _one_fault(self, target: str, verb: str) -> Iterator[None]:
        """One fault at a time on a replica: the inner one's end would heal the outer one unnoticed.

        Except that what is paused may be killed: it is started again, and the outer end finds nothing to heal.
        """
        before = self._faulty.get(target)
        for other in self._faulty:
            same = (
                target == other
                or target.rpartition("-")[0] == other
                or other.rpartition("-")[0] == target
            )
            if same and (target, before, verb) != (other, "pause", "kill"):
                raise LabError(
                    f"{other} has a fault already. End that block before {target} gets another."
                )
        self._faulty[target] = verb
        try:
            yield
        finally:
            if before:
                self._faulty[target] = before
            else:
                del self._faulty[target]

    def _forget(self) -> None:
        if self._client is not None and not self._client.alive():
            self._client.reap()
        self._client = self._kafka = None

    def _title(self) -> str:
        runs = f"session {self.session} on {self.runtime}" if self.running else "not started"
        return f"{self.phase}, seed {self.seed}: {runs}"

    def _rows(self) -> list[dict[str, Any]]:
        try:
            if self.running:
                return [_row(name, service) for name, service in self.state()["services"].items()]
        except SessionGone:  # it ended just now
            pass
        return [{"service": name} for name in self._names]


def _settings(values: Mapping[str, object]) -> dict[str, str]:
    words: dict[Any, str] = {True: "on", False: "off"}
    return {k: words[v] if isinstance(v, bool) else str(v) for k, v in values.items()}


def _row(name: str, service: Mapping[str, Any]) -> dict[str, Any]:
    replicas = service["replicas"]
    return {
        "service": name,
        "version": service["version"],
        "replicas": len(replicas),
        "ready": sum(replica["ready"] for replica in replicas),
        "address": service["url"],
        "memory_mib": round(sum(replica["memory"] for replica in replicas) / 2**20),
    }
