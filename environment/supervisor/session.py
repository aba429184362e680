"""One session's system: which replicas there should be, with which version and settings, and the verbs on them.

The verbs are the course's vocabulary; each returns when its evidence is there, or raises. One verb at a time changes
things; looking (`state`, `logs`) never waits for it.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from environment.errors import LabError, NotReady
from environment.nginx import PROXY, Balance
from environment.runtimes import Launch, Runtime, Say, replica_id
from environment.specification import Specification
from environment.supervisor.balancer import Balancer
from environment.supervisor.plan import Plan, Replica
from environment.supervisor.probes import probe, put_fault
from environment.waiting import wait_until

READY_SECONDS = 30.0
PROBE_SECONDS = 0.06
"""Between two probes of a replica that starts: several are asked at once, and probes take the cores they start on."""


class Session:
    """The replicas of one session on one runtime."""

    def __init__(self, specification: Specification, *, token: str, runtime: Runtime) -> None:
        self._runtime, self._token = runtime, token
        self._plan = Plan(specification, token=token)
        self._balancer = Balancer(runtime, self._plan)
        self._changing = threading.RLock()
        self.closing = threading.Event()

    # -- verbs --

    def start(self, say: Say) -> None:
        """Starts what the phase describes and does not run yet; ready when this returns."""
        with self._changing:
            if not self._plan.replicas:
                self._runtime.prepare(list(self._plan.services.values()), say)
                for service in self._plan.services:
                    for number in range(1, self._plan.spec.replicas.get(service, 1) + 1):
                        self._add(service, number)
            down = [r for r in self._plan.all() if self._is_down(r)]
            self._bring_up(down, say)

    def scale(self, service: str, replicas: int, say: Say) -> None:
        """Makes `replicas` the number of replicas; those that leave get no more requests, and are drained."""
        if not 1 <= replicas <= 8:
            raise LabError(f"A service has 1 to 8 replicas, not {replicas}.")
        with self._changing:
            self._plan.only_ours(service, "have replicas to scale")
            present = self._plan.of(service)
            new = [self._add(service, n) for n in range(len(present) + 1, replicas + 1)]
            for replica in new:
                replica.serving = False
            try:
                self._bring_up(new, say)
            except BaseException:
                self._plan.drop(new)
                self._remove(new)
                raise
            for replica in new:
                replica.serving = True
            self._plan.drop(leaving := self._plan.of(service)[replicas:])
            if new or leaving:
                self._balancer.follow()
            self._drain(leaving, say)
            self._remove(leaving)

    def configure(self, service: str, settings: Mapping[str, str], say: Say) -> None:
        """Replaces replicas in place, one after the other, with other settings; when one fails, the old come back."""
        self._plan.check_settings(service, settings)
        with self._changing:
            chosen = self._plan.of(service)
            self._replace(chosen, lambda replica: replica.settings.update(settings), say)

    def roll(self, service: str, version: str, replicas: Iterable[int], say: Say) -> None:
        """Replaces replicas in place, one after the other, by another version; when one fails, the old come back.

        `replicas` are the numbers of those to replace; none means all.
        """
        if not version:
            raise LabError(f"Say which version of {service}, such as 2.")
        self._plan.only_ours(service, "have versions")
        with self._changing:
            names = [replica_id(service, number) for number in replicas] or [service]
            chosen = self._plan.targets(names)
            self._replace(chosen, lambda replica: setattr(replica, "version", version), say)

    def restart(self, targets: Iterable[str], say: Say) -> list[dict[str, Any]]:
        """Stops the targets (services or replicas) and starts them, all at the same time; their start-up times."""
        with self._changing:
            chosen = self._plan.targets(targets)
            self._drain(chosen, say)
            self._bring_up(chosen, say)
            self._balancer.follow()  # which also forgets whom it had given up
            return [_timing(replica) for replica in chosen]

    def heal(self, targets: Iterable[str], say: Say) -> None:
        """Ends what a fault did: resumes, starts, and takes back slowness and failures; ready when this returns."""
        with self._changing:
            down = []
            for replica in self._plan.targets(targets):
                condition = self._runtime.status(replica.id).condition
                if condition == "paused":
                    self._runtime.resume(replica.id)
                elif condition != "running":
                    down.append(replica)
            self._bring_up(down, say)
            for replica in self._plan.targets(targets):
                self._await_ready(replica)
                if self._plan.service(replica.service).speaks_http:
                    put_fault(replica.url, {}, self._token)
            if down or PROXY in [replica.service for replica in self._plan.targets(targets)]:
                # nginx forgets whom it had given up; and it may itself have slept through a change.
                self._balancer.follow()

    def stop(self, targets: Iterable[str], say: Say) -> None:
        """Drains the targets: SIGTERM, and SIGKILL after the service's grace period."""
        with self._changing:
            self._drain(self._plan.targets(targets), say)

    def kill(self, targets: Iterable[str]) -> None:
        """SIGKILL, at once, to every target."""
        with self._changing:
            self._each(self._plan.targets(targets), lambda replica: self._runtime.kill(replica.id))

    def pause(self, targets: Iterable[str]) -> None:
        """Freezes the targets: they accept connections and never answer."""
        with self._changing:
            self._each(self._plan.targets(targets), lambda replica: self._runtime.pause(replica.id))

    def fault(self, targets: Iterable[str], fault: dict[str, Any]) -> None:
        """Sets `PUT /faults` on each target."""
        with self._changing:
            chosen = self._plan.targets(targets)
            for replica in chosen:
                self._plan.only_ours(replica.service, "can be slowed, or made to fail")
            self._each(chosen, lambda replica: put_fault(replica.url, fault, self._token))

    def balance(
        self,
        service: str | None,
        algorithm: Any,
        weights: Iterable[int] = (),
        backup: Iterable[int] = (),
        **limits: Any,
    ) -> None:
        """How nginx chooses among the replicas of one service, or of all."""
        with self._changing:
            fronted = self._plan.fronted()
            if service is not None:
                self._plan.service(service)
            chosen = [name for name in fronted if service in (None, name)]
            if not chosen:
                raise LabError(
                    "There is no nginx in front, so nothing is balanced. Phase 2 has one."
                )
            how = Balance(algorithm, tuple(weights), backup=tuple(backup), **limits)
            self._balancer.balance(chosen, how)

    # -- looking --

    def services(self) -> dict[str, Any]:
        """Per service its version, address and replicas, as `lab ps --json` prints them. Memory in bytes."""
        # One snapshot: a verb may be changing what should run while we look.
        present = {n: list(found) for n, found in list(self._plan.replicas.items()) if found}
        everyone = [replica for found in present.values() for replica in found]
        with ThreadPoolExecutor(16) as pool:
            rows = dict(zip((r.id for r in everyone), pool.map(self._row, everyone), strict=True))
        return {
            name: {
                "version": ", ".join(sorted({replica.version for replica in found})),
                "url": self._balancer.url(name) or found[0].url,
                "replicas": [rows[replica.id] for replica in found],
            }
            for name, found in present.items()
        }

    def logs(self, target: str, lines: int) -> str:
        """The last lines of a service (each replica under its id) or of one replica."""
        replicas = self._plan.targets([target])
        if len(replicas) == 1:
            return self._runtime.logs(replicas[0].id, lines)
        return "\n".join(f"--- {r.id}\n{self._runtime.logs(r.id, lines)}" for r in replicas)

    def access_log(self) -> dict[str, Any]:
        """nginx's access log: `lines` as it wrote them, and the `replicas` by their addresses in there."""
        return self._balancer.log()

    def close(self, *, drain: bool) -> None:
        """Removes everything. Without `drain` nothing is waited for that a service might still want to do."""
        self.closing.set()  # whoever waits for a replica gives up
        try:
            if drain:
                with self._changing:
                    self._drain([r for r in self._plan.all() if r.began], lambda line: None)
        finally:
            self._runtime.destroy()

    # -- parts of verbs --

    def _bring_up(self, replicas: list[Replica], say: Say) -> None:
        done = 0
        stores = {
            r.id: threading.Event()
            for r in replicas
            if not self._plan.service(r.service).speaks_http
        }

        def up(replica: Replica) -> None:
            nonlocal done
            replica.began, replica.ready = time.time(), None
            files = self._balancer.files() if replica.service == PROXY else {}
            try:
                self._runtime.start(Launch(self._plan.described(replica), replica.number, files))
                if replica.id not in stores:
                    # It starts beside them, but is ready only after its Kafka: that is not its time.
                    for store in stores.values():
                        store.wait()
                self._await_ready(replica)
            finally:
                if replica.id in stores:
                    stores[replica.id].set()
            replica.ready = time.time()
            replica.cpu_seconds = self._runtime.usage(replica.id).cpu_seconds
            done += 1
            say(f"{replica.id} ready ({done} of {len(replicas)})")

        if replicas:
            say(f"starting {len(replicas)} replica(s) on {self._runtime.name}")
        self._each(replicas, up)

    def _await_ready(self, replica: Replica) -> None:
        evidence = self._plan.services[replica.service].x_lab.ready
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

        if wait_until(ready, timeout=READY_SECONDS, every=PROBE_SECONDS, give_up=dead):
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
            grace = self._plan.services[replica.service].stop_grace_period
            self._runtime.stop(replica.id, grace)

        self._each(replicas, drain)

    def _replace(
        self, replicas: list[Replica], change: Callable[[Replica], None], say: Say
    ) -> None:
        changed: list[tuple[Replica, str, dict[str, str]]] = []
        try:
            for replica in replicas:
                changed.append((replica, replica.version, dict(replica.settings)))
                change(replica)
                self._renew(replica, say)
        except BaseException:
            say(f"{changed[-1][0].id}: the change failed, going back")
            for replica, version, settings in changed:
                replica.version, replica.settings = version, settings
                self._renew(replica, say)
            raise
        finally:
            self._balancer.follow()

    def _renew(self, replica: Replica, say: Say) -> None:
        """Another life at the same address, in which nginx sends requests to the others, if there are any."""
        try:
            if len(self._plan.of(replica.service)) > 1:
                replica.serving = False
                self._balancer.follow()
            self._drain([replica], say)
            self._bring_up([replica], say)
        finally:
            replica.serving = True

    def _each(self, replicas: list[Replica], action: Callable[[Replica], None]) -> None:
        """Does it to all at the same time; every one is finished when the first error is raised."""
        if not replicas:
            return
        with ThreadPoolExecutor(len(replicas)) as pool:
            for future in [pool.submit(action, replica) for replica in replicas]:
                future.result()

    def _add(self, service: str, number: int) -> Replica:
        """One more planned replica, with an address of its own."""
        described = self._plan.service(service)
        replica = self._plan.add(service, number)
        addresses = self._runtime.reserve(
            described,
            number,
            names=self._plan.names(service, number),
            fixed=self._plan.fixed_ports(service, number),
        )
        address = addresses[described.port]
        scheme = "http" if described.speaks_http or service == PROXY else "tcp"
        replica.url, replica.inside = f"{scheme}://{address.outside}", address.inside
        if service == PROXY:
            self._balancer.stands_at(addresses)
        return replica

    def _remove(self, replicas: list[Replica]) -> None:
        for replica in replicas:
            self._runtime.remove(replica.id)

    def _row(self, replica: Replica) -> dict[str, Any]:
        status, usage = self._runtime.status(replica.id), self._runtime.usage(replica.id)
        evidence = self._plan.services[replica.service].x_lab.ready
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
            "began": replica.began,
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
