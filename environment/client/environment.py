"""`Environment`: the course's vocabulary for starting, scaling, breaking and healing a system."""

import threading
from collections.abc import Iterable, Mapping
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from environment.client import connection
from environment.client.connection import Client, nowhere, owner
from environment.client.progress import Progress
from environment.client.status import html_table, service_rows, text_table
from environment.client.targets import Service
from environment.compose import COMPOSE_FILE, read_description
from environment.errors import LabError, SessionGone
from environment.nginx import READ_TIMEOUT, Algorithm
from environment.passwords import POSTGRES
from environment.specification import DatabaseName, RuntimeName, Specification
from environment.states import SessionState
from environment.verbs import Verbs

if TYPE_CHECKING:
    import pandas as pd

    from environment.kafka.tools import Kafka
    from environment.mystery import Mystery


class Environment:
    """A system of services on this machine: one phase of the course, on Docker or on plain processes.

    Nothing runs until `start`. What was started ends with `stop`, with the `with` block, and with the process that
    made it, however that process ends.

    Args:
        phase: a file of `environment/phases/`, such as `"phase0"`.
        runtime: `"docker"`, `"process"`, or `"auto"` for Docker where it is available.
        seed: the seed of every random choice in the services.
        versions: `{"user-service": 2}`; else the phase's.
        only: the services to run; else all of the phase.
        settings: `{"payment-service": {"PAYMENT_SECONDS": 0.1}}`; else docker-compose.yml's.
        replicas: `{"api-gateway": 3}`; else one of each.
        database: `"sqlite"`, or `"postgresql"` for one server with a database for each service.
        description: another file in place of docker-compose.yml.
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
        database: DatabaseName = "sqlite",
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
            database=database,
            description=description.absolute(),
        )
        described = read_description(description, variables=self._spec.variables()).services
        wanted = self._spec.wanted
        self._names = [name for name in described if not wanted or name in wanted]
        self._client: Client | None = None
        self._runtime: str | None = None
        self._kafka: Kafka | None = None
        self._mystery: Mystery | None = None
        self._progress: connection.Progress = Progress
        self._changing = threading.RLock()

    @classmethod
    def attach(cls, session: str | None = None) -> "Environment":
        """Join a running session (default: the only one). It does not end with this process."""
        client = Client.find(session)
        state = client.verbs().state()
        environment = cls(state["phase"], runtime=state["runtime"] or "auto", seed=state["seed"])
        environment._names = list(state["services"])
        environment._client, environment._runtime = client, state["runtime"]
        return environment

    # -- what it is --

    @property
    def phase(self) -> str:
        """The phase of the course, such as `"phase0"`."""
        return self._spec.phase

    @property
    def seed(self) -> int:
        """The seed of every random choice in the services."""
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
    def database(self) -> DatabaseName:
        """Where services keep their data: `"sqlite"`, or `"postgresql"`."""
        return "postgresql" if POSTGRES in self._names else "sqlite"

    @property
    def running(self) -> bool:
        """Whether the session runs."""
        return self._client is not None and self._client.alive()

    def state(self) -> SessionState:
        """Return everything that `lab ps --json` prints."""
        state = self._verbs.state()
        if self._mystery and self._mystery.stands:
            state["replaced"] = {}  # it would reveal the fault
        return state

    @property
    def kafka(self) -> "Kafka":
        """The broker of a phase that has one: topics, messages, groups, lag, dead letters.

        Raises:
            LabError: this session has no Kafka.
        """
        from environment.kafka.tools import Kafka

        if self._kafka is None or not self.running:
            state = self.state()
            if state["kafka"] is None:
                raise LabError(
                    f"There is no Kafka in this session of {self.phase}. Phase 4 has one, unless `only` leaves it out: "
                    '`Environment("phase4")` or `lab up phase4`.'
                )
            if self._kafka is not None:
                self._kafka.close()
            bootstrap = state["kafka"]["bootstrap"]
            self._kafka = Kafka(bootstrap, page=lambda: self._verbs.kafka_page())
        return self._kafka

    def status(self) -> "pd.DataFrame":
        """Return one row per service: service, version, replicas, ready, address, memory_mib."""
        import pandas as pd

        return pd.DataFrame(self._rows())

    def replacements(self) -> dict[str, str]:
        """Return what runs in place of services' own code, by service: the name, and the source's hash."""
        return self.state()["replaced"] if self.running else {}

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
        """Start the phase's services; all are ready when this returns. What runs already stays as it is."""
        with self._changing:  # two threads start it once
            if not self.running:
                self._forget()
                specification = self._spec.model_copy(update={"owner": str(owner())})
                self._client = Client.launch(specification)
            try:
                self._runtime = self._verbs.start()["runtime"]
            except LabError:
                if not self.running:  # a start that failed later on leaves what runs
                    self._forget()
                raise
        return self

    def stop(self) -> None:
        """Drain and remove everything this environment started. Harmless when nothing runs."""
        with self._changing:
            if self._client is not None:
                self._client.down()
            self._forget()

    def scale(self, service: str, replicas: int, *, reload: bool = True) -> Service:
        """Make `replicas` (1 to 8) the number of replicas: a target, not a change.

        With `reload=False` nginx keeps the addresses that it has, also of replicas that have left, until the next
        change.
        """
        self._verbs.scale(service, replicas, reload=reload)
        return self[service]

    def configure(self, service: str, **settings: object) -> Service:
        """Replace the replicas in place, with other settings and the same addresses."""
        self._verbs.configure(service, _settings(settings))
        return self[service]

    def roll(self, service: str, version: int | str, *, replicas: Iterable[int] = ()) -> Service:
        """Replace the replicas one after the other by another version, at the same addresses.

        `replicas` are the numbers, from 1, of those to replace; else all of them.
        """
        self._verbs.roll(service, str(version), list(replicas))
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
        read_timeout: int = READ_TIMEOUT,
    ) -> Self:
        """Set how nginx chooses among the replicas of `service`, or of every service.

        Args:
            algorithm: nginx's algorithm.
            service: the service; else every service that nginx fronts.
            weights: the replicas' shares in their order, 1 where none is given; a replica of weight 0 gets nothing.
            max_fails: a replica that fails so many times within `fail_timeout` seconds gets nothing for as long.
            fail_timeout: whole seconds.
            backup: the numbers, from 1, of the replicas that get requests only when no other replica can.
            forwarded: `ip_hash` uses the last address in X-Forwarded-For, so that one machine can act as many clients.
                The access log's `client` is that address; a service still sees the address of the connection.
            read_timeout: seconds without a byte of a response after which an attempt has failed.
        """
        self._verbs.balance(
            algorithm,
            service,
            weights=list(weights),
            max_fails=max_fails,
            fail_timeout=fail_timeout,
            backup=list(backup),
            forwarded=forwarded,
            read_timeout=read_timeout,
        )
        return self

    def access_log(self) -> "pd.DataFrame":
        """Return what nginx has answered so far, one row per request, in the order in which it finished them.

        Columns: time (Unix seconds, at its end), service, client, method, path, status, seconds, attempts (the
        replicas that nginx tried, in turn), correlation_id (X-Correlation-Id as the client sent it, else empty),
        replica (the last of the attempts; None when nginx tried none).
        """
        from environment.nginx.access_log import read_access_log

        return read_access_log(**self._verbs.access_log())

    def restart(self, *services: str) -> "pd.DataFrame":
        """Stop the services (all when none is named) and start them again, all at the same time.

        Return one row per replica: service, replica, began and ready (Unix seconds), seconds, cpu_seconds.
        """
        import pandas as pd

        return pd.DataFrame(self._verbs.restart(list(services or self._names)))

    def mystery(self, seed: int) -> "Mystery":
        """Break one of ten things in a running phase 4, for you to find; the block's end heals it.

        First each service gets the replicas and settings of a healthy system (`environment/mystery/healthy.py`).

        Args:
            seed: chooses the fault and its place; the same seed always chooses the same ones.

        Raises:
            LabError: the system does not run, is not phase 4 with all services, or has a mystery already.
        """
        from environment.mystery import Mystery, require_whole

        require_whole(self)
        if self._mystery and self._mystery.stands:
            raise LabError("One mystery at a time: end the present one with its `heal()` first.")
        silent = copy(self)  # lines of progress would reveal the fault
        silent._progress, silent._kafka, silent._mystery = nowhere, self.kafka, None
        self._mystery = Mystery(silent, seed)
        return self._mystery

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- inside --

    @property
    def _verbs(self) -> Verbs:
        """The session's verbs; each call shows its progress."""
        if self._client is None:
            raise LabError("This environment does not run. Start it first: `env.start()`.")
        return self._client.verbs(self._progress)

    def _forget(self) -> None:
        if self._client is not None and not self._client.alive():
            self._client.reap()
        if self._kafka is not None:
            self._kafka.close()
        self._client = self._kafka = self._mystery = None

    def _title(self) -> str:
        runs = f"session {self.session} on {self.runtime}" if self.running else "not started"
        return f"{self.phase}, seed {self.seed}: {runs}"

    def _rows(self) -> list[dict[str, Any]]:
        try:
            if self.running:
                return service_rows(self.state())
        except SessionGone:  # it ended just now
            pass
        return [{"service": name} for name in self._names]


def _settings(values: Mapping[str, object]) -> dict[str, str]:
    switches = {True: "on", False: "off"}
    return {k: switches[v] if isinstance(v, bool) else str(v) for k, v in values.items()}
