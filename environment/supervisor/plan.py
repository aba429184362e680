"""What should run in a session: which replicas of which services, with which version and settings.

Nothing is started here. docker-compose.yml describes the services; their numbers, versions and settings come from the
phase's file, then from the specification, then from the verbs.
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from environment.compose import Service, read_description
from environment.errors import LabError, UnknownName
from environment.nginx import PROXY
from environment.passwords import with_password
from environment.replacing import Replacement
from environment.runtimes import replica_id
from environment.specification import Specification
from environment.supervisor.needs import explained, missing

FRONT_DOOR = "api-gateway"
"""The service whose address is the system's own; a phase without it has none."""

KAFKA_LISTENERS = {"OUTSIDE", "INSIDE", "CONTROLLER"}

FRONT_DOOR_PORT = 8000
"""The front door's port on this machine when fixed ports are asked for; each service's is the described one."""

OURS = {"HOST", "PORT", "CONTROL_TOKEN", "INSTANCE", "FAULTS", "REPLACED"} | KAFKA_LISTENERS
"""Settings that the environment itself decides."""


@dataclass
class Replica:
    """One replica that should run, and where it is from this machine and for other replicas (`host:port`).

    `serving` is whether the proxy shall send it requests. Times are Unix seconds; `cpu_seconds` is what it had used
    when it became ready. `logged` is the end of its log before it was started anew. `replacement` is what it starts
    with in place of a part of its own code.
    """

    service: str
    number: int
    version: str
    url: str = ""
    inside: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    serving: bool = True
    began: float | None = None
    ready: float | None = None
    cpu_seconds: float | None = None
    logged: str = ""
    replacement: Replacement | None = None

    @property
    def id(self) -> str:
        """The replica's id, such as `user-service-1`."""
        return replica_id(self.service, self.number)


class Plan:
    """The services of one session and the replicas that there should be."""

    def __init__(self, specification: Specification, *, token: str) -> None:
        """Read the description. Raises `UnknownName` for a service or a setting that is not described."""
        self.spec = specification
        self.password = secrets.token_hex(16)
        self._variables = {
            **specification.variables(),
            "SEED": str(specification.seed),
            "CONTROL_TOKEN": token,
            "FAULTS": "on",
        }
        self.services = self._chosen()
        self.replicas: dict[str, list[Replica]] = {}
        for service, settings in specification.settings.items():
            self.check_settings(service, settings)
        for service in (*specification.versions, *specification.replicas):
            self.require_own_service(service, "have versions and replicas")
        self._require_needs(
            {
                name: (self._version(name), specification.settings.get(name, {}))
                for name in self.services
            }
        )

    # -- asking --

    def service(self, name: str) -> Service:
        """Return a service as described. Raises `UnknownName`."""
        if name not in self.services:
            raise UnknownName(unknown("service", name, self.services))
        return self.services[name]

    def require_own_service(self, name: str, ability: str) -> Service:
        """Return the service, when it is one of the course's own. Raises `LabError` for nginx and Valkey."""
        service = self.service(name)
        if not service.speaks_http:
            raise LabError(f"Only the course's own services {ability}; {name} is not one of them.")
        return service

    def of(self, service: str) -> list[Replica]:
        """Return the replicas of a service. Raises `UnknownName`."""
        self.service(service)
        return list(self.replicas.get(service, []))

    def all(self) -> list[Replica]:
        """Return every replica."""
        return [replica for replicas in list(self.replicas.values()) for replica in replicas]

    def targets(self, names: Iterable[str]) -> list[Replica]:
        """Return the replicas that names mean: all of a service, or the one with that id."""
        chosen = []
        by_id = {replica.id: replica for replica in self.all()}
        for name in names:
            if name in by_id:
                chosen.append(by_id[name])
            elif name in self.services:
                chosen += self.of(name)
            else:
                raise UnknownName(unknown("service or replica", name, [*self.services, *by_id]))
        return chosen

    def described(self, replica: Replica) -> Service:
        """Return the service as described for this replica's version, with its own settings."""
        name = self.services[replica.service].version_variable
        variables = {**self._variables, name: replica.version}
        service = read_description(self.spec.description, variables=variables).services[
            replica.service
        ]
        own = {**service.environment, **replica.settings, "INSTANCE": replica.id}
        own = {name: with_password(value, self.password) for name, value in own.items()}
        if service.x_lab.ready == "kafka":  # it advertises this address to its clients
            own["OUTSIDE"] = urlsplit(replica.url).netloc
        return service.model_copy(update={"environment": own})

    def check_settings(self, service: str, settings: Mapping[str, str]) -> None:
        """Raise `UnknownName` for a setting that the service does not have, or that the environment decides."""
        known = set(self.service(service).environment) - OURS
        for name, value in settings.items():
            if name in OURS:
                raise UnknownName(f"{name} is decided by the environment and cannot be set.")
            if name not in known:
                raise UnknownName(unknown(f"setting of {service}", name, known))
            if name == "DATA_DIR":
                self._check_folder(service, value)

    def check_needs(self, service: str, version: str, settings: Mapping[str, str]) -> None:
        """Raise `LabError` when a replica of that version would wait for a service that this session does not have."""
        self._require_needs({service: (version, settings)})

    def _require_needs(self, wanted: Mapping[str, tuple[str, Mapping[str, str]]]) -> None:
        lacking = {}
        for name, (version, settings) in wanted.items():
            described = self.services[name]
            if names := missing(
                described, version=version, settings=settings, present=self.services
            ):
                lacking[f"{name} {version}"] = names
        if lacking:
            raise LabError(explained(lacking, phase=self.spec.phase, chosen=self.spec.only))

    def _version(self, service: str) -> str:
        """Return the version that a service starts with; empty for a program that is not the course's own."""
        described = self.service(service)
        phase = self._variables.get(described.version_variable, "1")
        return self.spec.versions.get(service, phase) if described.speaks_http else ""

    def _check_folder(self, service: str, folder: str) -> None:
        """Refuse a folder outside of the service's volume: it would not be removed with the session."""
        path = self.service(service).environment["DATA_DIR"]
        inside = folder == path or folder.startswith(f"{path}/")
        if not inside or ".." in PurePosixPath(folder).parts:
            raise LabError(
                f"The data of {service} lies in its volume: in {path}, or in a folder below it such as "
                f"{path}/new, where it begins with nothing. {folder!r} is outside of it."
            )

    # -- the proxy --

    def front(self, service: str) -> int | None:
        """Return the proxy's port that stands for a service; None when nothing stands in front of it."""
        proxy, own = self.services.get(PROXY), self.services[service]
        if proxy is None or not own.speaks_http:
            return None
        if service == FRONT_DOOR:
            return proxy.port
        return own.port if own.port in proxy.ports else None

    def fronted(self) -> dict[str, int]:
        """Return the services that have the proxy in front, each with its port there."""
        fronts = {name: self.front(name) for name in self.services}
        return {name: port for name, port in fronts.items() if port is not None}

    def entrance(self, service: str) -> int:
        """Return the described port by which a service is reached: its first, or the first that the proxy opens."""
        described = self.services[service]
        fronts = list(self.fronted().values())
        if service != PROXY or described.port in fronts:
            return described.port
        return fronts[0]

    def names(self, service: str, number: int) -> list[str]:
        """Return the names by which other replicas look for this one, at its described ports."""
        if service == PROXY:
            return [PROXY, *(name for name in self.fronted() if name != FRONT_DOOR)]
        alone = service == FRONT_DOOR or self.front(service) is None
        return [service] if number == 1 and alone else []

    def fixed_ports(self, service: str, number: int) -> dict[int, int]:
        """Return the host ports to take, by described port, when fixed ports are asked for."""
        if not self.spec.fixed_ports or number > 1 or self.front(service) is not None:
            return {}
        described = self.services[service]
        if not described.speaks_http and service != PROXY:
            return {}
        door = described.port if service in (PROXY, FRONT_DOOR) else None
        ports = self.fronted().values() if service == PROXY else described.ports
        return {port: FRONT_DOOR_PORT if port == door else port for port in ports}

    # -- changing --

    def add(self, service: str, number: int) -> Replica:
        """Add a replica: like its siblings, or else as the specification and the phase describe it."""
        siblings = self.replicas.setdefault(service, [])
        if siblings:
            version, settings = siblings[0].version, dict(siblings[0].settings)
            replacement = siblings[0].replacement
        else:
            replacement = None
            version = self._version(service)
            settings = dict(self.spec.settings.get(service, {}))
        replica = Replica(service, number, version, settings=settings, replacement=replacement)
        siblings.append(replica)
        return replica

    def drop(self, replicas: Iterable[Replica]) -> None:
        """Take replicas out of the plan."""
        for replica in replicas:
            self.replicas[replica.service].remove(replica)

    def _chosen(self) -> dict[str, Service]:
        described = read_description(self.spec.description, variables=self._variables).services
        wanted = self.spec.wanted
        if missing := [name for name in wanted if name not in described]:
            raise UnknownName(unknown("service", missing[0], described))
        chosen = {n: s for n, s in described.items() if n in wanted or not wanted}
        if PROXY in chosen and not any(service.speaks_http for service in chosen.values()):
            own = [name for name, service in described.items() if service.speaks_http]
            raise LabError(
                f"{PROXY} has no service to stand in front of, and opens no port then. "
                f"Name one of these as well: {', '.join(own)}."
            )
        return chosen


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Return the message about an unknown name, with the nearest known one."""
    near = get_close_matches(name, list(known), n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"There is no {what} {name!r}.{hint} There are: {', '.join(sorted(known)) or 'none'}."
