"""One session's system: which replicas there should be, with which version and settings, and the verbs on them.

The verbs are the course's vocabulary; each returns when its evidence is there, or raises. One verb at a time changes
things; looking (`state`, `logs`) never waits for it.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from environment.compose import Service, read_description
from environment.errors import LabError, NotReady, UnknownName
from environment.phases import read_phase
from environment.probes import probe, put_fault
from environment.runtimes import Launch, Runtime, Say, replica_id
from environment.specification import Specification
from environment.waiting import wait_until

READY_SECONDS = 30.0
OURS = {"HOST", "PORT", "DATA_DIR", "CONTROL_TOKEN", "INSTANCE", "FAULTS"}
"""Settings that the environment itself decides."""


@dataclass
class Replica:
    """One replica that should run. Times are Unix seconds; `cpu_seconds` is what it had used when it became ready."""

    service: str
    number: int
    version: str
    url: str
    settings: dict[str, str] = field(default_factory=dict)
    began: float | None = None
    ready: float | None = None
    cpu_seconds: float | None = None

    @property
    def id(self) -> str:
        return replica_id(self.service, self.number)


class Session:
    """The replicas of one session on one runtime."""

    def __init__(self, specification: Specification, *, token: str, runtime: Runtime) -> None:
        self._spec, self._runtime = specification, runtime
        self._variables = {
            **read_phase(specification.phase),
            "SEED": str(specification.seed),
            "CONTROL_TOKEN": token,
            "FAULTS": "on",
        }
        self._token = token
        self._replicas: dict[str, list[Replica]] = {}
        self._changing = threading.RLock()
        self.closing = threading.Event()
        self._services = self._chosen()
        self._check_specification()

    # -- verbs --

    def start(self, say: Say) -> None:
        """Starts what the phase describes and does not run yet; ready when this returns."""
        with self._changing:
            if not self._replicas:
                self._runtime.prepare(list(self._services.values()), say)
                for service in self._services:
                    self._plan(service)
            down = [r for r in self._all() if self._is_down(r)]
            self._bring_up(down, say)

    def scale(self, service: str, replicas: int, say: Say) -> None:
        """Makes `replicas` the number of replicas; those that leave are drained."""
        if not 1 <= replicas <= 8:
            raise LabError(f"A service has 1 to 8 replicas, not {replicas}.")
        with self._changing:
            present = self._of(service)
            new = [self._add(service, n) for n in range(len(present) + 1, replicas + 1)]
            try:
                self._bring_up(new, say)
            except BaseException:
                self._remove(new)
                raise
            self._drain(leaving := self._of(service)[replicas:], say)
            self._remove(leaving)

    def configure(self, service: str, settings: Mapping[str, str], say: Say) -> None:
        """Replaces replicas in place, one after the other, with other settings; when one fails, the old come back."""
        self._check_settings(service, settings)
        with self._changing:
            self._replace(service, lambda replica: replica.settings.update(settings), say)

    def roll(self, service: str, version: str, say: Say) -> None:
        """Replaces replicas in place, one after the other, by another version; when one fails, the old come back."""
        if not version:
            raise LabError(f"Say which version of {service}, such as 2.")
        with self._changing:
            self._replace(service, lambda replica: setattr(replica, "version", version), say)

    def restart(self, targets: Iterable[str], say: Say) -> list[dict[str, Any]]:
        """Stops the targets (services or replicas) and starts them, all at the same time; their start-up times."""
        with self._changing:
            chosen = self._targets(targets)
            self._drain(chosen, say)
            self._bring_up(chosen, say)
            return [_timing(replica) for replica in chosen]

    def heal(self, targets: Iterable[str], say: Say) -> None:
        """Ends what a fault did: resumes, starts, and takes back slowness and failures; ready when this returns."""
        with self._changing:
            down = []
            for replica in self._targets(targets):
                condition = self._runtime.status(replica.id).condition
                if condition == "paused":
                    self._runtime.resume(replica.id)
                elif condition != "running":
                    down.append(replica)
            self._bring_up(down, say)
            for replica in self._targets(targets):
                self._await_ready(replica)
                put_fault(replica.url, {}, self._token)

    def stop(self, targets: Iterable[str], say: Say) -> None:
        """Drains the targets: SIGTERM, and SIGKILL after the service's grace period."""
        with self._changing:
            self._drain(self._targets(targets), say)

    def kill(self, targets: Iterable[str]) -> None:
        """SIGKILL, at once, to every target."""
        with self._changing:
            self._each(self._targets(targets), lambda replica: self._runtime.kill(replica.id))

    def pause(self, targets: Iterable[str]) -> None:
        """Freezes the targets: they accept connections and never answer."""
        with self._changing:
            self._each(self._targets(targets), lambda replica: self._runtime.pause(replica.id))

    def fault(self, targets: Iterable[str], fault: dict[str, Any]) -> None:
        """Sets `PUT /faults` on each target."""
        with self._changing:
            self._each(
                self._targets(targets), lambda replica: put_fault(replica.url, fault, self._token)
            )

    # -- looking --

    def services(self) -> dict[str, Any]:
        """Per service its version, address and replicas, as `lab ps --json` prints them. Memory in bytes."""
        # One snapshot: a verb may be changing what should run while we look.
        present = {name: list(found) for name, found in list(self._replicas.items()) if found}
        everyone = [replica for found in present.values() for replica in found]
        with ThreadPoolExecutor(16) as pool:
            rows = dict(zip((r.id for r in everyone), pool.map(self._row, everyone), strict=True))
        return {
            name: {
                "version": found[0].version,
                "url": found[0].url,
                "replicas": [rows[replica.id] for replica in found],
            }
            for name, found in present.items()
        }

    def logs(self, target: str, lines: int) -> str:
        """The last lines of a service (each replica under its id) or of one replica."""
        replicas = self._targets([target])
        if len(replicas) == 1:
            return self._runtime.logs(replicas[0].id, lines)
        return "\n".join(f"--- {r.id}\n{self._runtime.logs(r.id, lines)}" for r in replicas)

    def close(self, *, drain: bool) -> None:
        """Removes everything. Without `drain` nothing is waited for that a service might still want to do."""
        self.closing.set()  # whoever waits for a replica gives up
        try:
            if drain:
                with self._changing:
                    self._drain([r for r in self._all() if r.began], lambda line: None)
        finally:
            self._runtime.destroy()

    # -- parts of verbs --

    def _bring_up(self, replicas: list[Replica], say: Say) -> None:
        done = 0

        def up(replica: Replica) -> None:
            nonlocal done
            replica.began, replica.ready = time.time(), None
            self._runtime.start(Launch(self._described(replica), replica.number))
            self._await_ready(replica)
            replica.ready = time.time()
            replica.cpu_seconds = self._runtime.usage(replica.id).cpu_seconds
            done += 1
            say(f"{replica.id} ready ({done} of {len(replicas)})")

        if replicas:
            say(f"starting {len(replicas)} replica(s) on {self._runtime.name}")
        self._each(replicas, up)

    def _await_ready(self, replica: Replica) -> None:
        evidence = self._services[replica.service].x_lab.ready
        found = "nothing yet"

        def ready() -> bool:
            nonlocal found
            answered, found = probe(replica.url, evidence)
            return answered

        def dead() -> bool:
            return self.closing.is_set() or self._runtime.status(replica.id).condition not in (
                "running",
                "paused",
            )

        if wait_until(ready, timeout=READY_SECONDS, give_up=dead):
            return
        raise NotReady(self._why_not_ready(replica, evidence, found))

    def _why_not_ready(self, replica: Replica, evidence: str, found: str) -> str:
        if self.closing.is_set():
            return f"{replica.id} was not awaited any longer: the session is being removed."
        status = self._runtime.status(replica.id)
        waited = time.time() - (replica.began or time.time())
        how = f"ended with exit code {status.exit_code}" if status.condition == "exited" else "runs"
        return (
            f"{replica.id} did not become ready: awaited `{evidence}` at {replica.url} for "
            f"{waited:.1f} s (limit {READY_SECONDS:.0f} s); it {how}; last answer: {found}\n"
            f"Its last log lines:\n{self._runtime.logs(replica.id, 12) or '(none)'}\n"
            "Next: mend what the log says, then run the same command or cell again."
        )

    def _is_down(self, replica: Replica) -> bool:
        return self._runtime.status(replica.id).condition in ("exited", "absent")

    def _drain(self, replicas: list[Replica], say: Say) -> None:
        for replica in replicas:
            say(f"stopping {replica.id}")

        def drain(replica: Replica) -> None:
            grace = self._services[replica.service].stop_grace_period
            self._runtime.stop(replica.id, grace)

        self._each(replicas, drain)

    def _replace(self, service: str, change: Callable[[Replica], None], say: Say) -> None:
        changed: list[tuple[Replica, str, dict[str, str]]] = []
        try:
            for replica in self._of(service):
                changed.append((replica, replica.version, dict(replica.settings)))
                change(replica)
                self._drain([replica], say)
                self._bring_up([replica], say)
        except BaseException:
            say(f"{service}: the change failed, going back")
            for replica, version, settings in changed:
                replica.version, replica.settings = version, settings
                self._drain([replica], say)
                self._bring_up([replica], say)
            raise

    def _each(self, replicas: list[Replica], action: Callable[[Replica], None]) -> None:
        """Does it to all at the same time; every one is finished when the first error is raised."""
        if not replicas:
            return
        with ThreadPoolExecutor(len(replicas)) as pool:
            for future in [pool.submit(action, replica) for replica in replicas]:
                future.result()

    def _remove(self, replicas: list[Replica]) -> None:
        for replica in replicas:
            self._runtime.remove(replica.id)
            self._replicas[replica.service].remove(replica)

    # -- what should run --

    def _chosen(self) -> dict[str, Service]:
        described = read_description(self._spec.description, variables=self._variables).services
        unknown = [name for name in self._spec.only if name not in described]
        if unknown:
            raise UnknownName(_unknown("service", unknown[0], described))
        return {n: s for n, s in described.items() if n in self._spec.only or not self._spec.only}

    def _check_specification(self) -> None:
        for service, settings in self._spec.settings.items():
            self._check_settings(service, settings)
        for service in (*self._spec.versions, *self._spec.replicas):
            self._service(service)

    def _check_settings(self, service: str, settings: Mapping[str, str]) -> None:
        known = set(self._service(service).environment) - OURS
        for name in settings:
            if name in OURS:
                raise UnknownName(f"{name} is decided by the environment and cannot be set.")
            if name not in known:
                raise UnknownName(_unknown(f"setting of {service}", name, known))

    def _service(self, name: str) -> Service:
        if name not in self._services:
            raise UnknownName(_unknown("service", name, self._services))
        return self._services[name]

    def _plan(self, service: str) -> None:
        self._replicas[service] = []
        for number in range(1, self._spec.replicas.get(service, 1) + 1):
            self._add(service, number)

    def _add(self, service: str, number: int) -> Replica:
        siblings = self._replicas[service]
        described = self._service(service)
        if siblings:
            version, settings = siblings[0].version, dict(siblings[0].settings)
        else:
            phase = self._variables.get(described.version_variable, "1")
            version = self._spec.versions.get(service, phase)
            settings = dict(self._spec.settings.get(service, {}))
        port = described.port if self._spec.fixed_ports and number == 1 else None
        url = self._runtime.reserve(described, number, port=port)
        replica = Replica(service, number, version, url, settings)
        siblings.append(replica)
        return replica

    def _described(self, replica: Replica) -> Service:
        """The service as described for this replica's version, with its own settings."""
        name = self._services[replica.service].version_variable
        variables = {**self._variables, name: replica.version}
        service = read_description(self._spec.description, variables=variables).services[
            replica.service
        ]
        own = {**service.environment, **replica.settings, "INSTANCE": replica.id}
        return service.model_copy(update={"environment": own})

    def _all(self) -> list[Replica]:
        return [replica for replicas in list(self._replicas.values()) for replica in replicas]

    def _of(self, service: str) -> list[Replica]:
        self._service(service)
        return list(self._replicas.get(service, []))

    def _targets(self, names: Iterable[str]) -> list[Replica]:
        """The replicas that names mean: a service's all, or the one of that id."""
        chosen = []
        by_id = {replica.id: replica for replica in self._all()}
        for name in names:
            if name in by_id:
                chosen.append(by_id[name])
            elif name in self._services:
                chosen += self._of(name)
            else:
                raise UnknownName(_unknown("service or replica", name, [*self._services, *by_id]))
        return chosen

    def _row(self, replica: Replica) -> dict[str, Any]:
        status, usage = self._runtime.status(replica.id), self._runtime.usage(replica.id)
        evidence = self._services[replica.service].x_lab.ready
        seconds = replica.ready - replica.began if replica.ready and replica.began else None
        return {
            "id": replica.id,
            "url": replica.url,
            "pid": status.pid,
            "container": status.container,
            "ready": status.condition == "running" and probe(replica.url, evidence)[0],
            "condition": status.condition,
            "version": replica.version,
            "memory": usage.memory,
            "readySeconds": seconds,
            "cpuSeconds": replica.cpu_seconds,
        }


def _timing(replica: Replica) -> dict[str, Any]:
    assert replica.began
    assert replica.ready
    return {
        "service": replica.service,
        "replica": replica.id,
        "began": replica.began,
        "ready": replica.ready,
        "seconds": replica.ready - replica.began,
        "cpu_seconds": replica.cpu_seconds,
    }


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"There is no {what} {name!r}.{hint} There are: {', '.join(sorted(known)) or 'none'}."
