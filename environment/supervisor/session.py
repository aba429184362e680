"""One session's system: the verbs on it.

Each verb returns when its evidence is there, or raises. One verb at a time changes the system; the verbs that only
look never wait for it. `environment/verbs.py` declares the verbs; add new ones here and there.
"""

import threading
from collections.abc import Mapping, Sequence

from environment.errors import LabError
from environment.nginx import READ_TIMEOUT, Algorithm, Balance
from environment.passwords import POSTGRES
from environment.progress import Say, silent
from environment.replacing.checks import checked
from environment.runtimes import Runtime, replica_id
from environment.specification import Specification
from environment.states import AccessLog, Points, ServiceState, Timing
from environment.supervisor.balancer import Balancer
from environment.supervisor.faults import (
    AT_POINTS,
    FAILING,
    KILLED,
    PAUSED,
    SLOWED,
    STOPPED,
    WITHOUT_DATABASE,
    Faults,
)
from environment.supervisor.healing import Healing
from environment.supervisor.plan import Plan, Replica
from environment.supervisor.probes import get_points
from environment.supervisor.replacing import Replacements
from environment.supervisor.replicas import Replicas
from environment.verbs import TERMINAL, Changing, Holder, Looking, Point


class Session(Looking, Changing):
    """The services of one session on one runtime."""

    def __init__(self, specification: Specification, *, token: str, runtime: Runtime) -> None:
        self._runtime, self._token = runtime, token
        self._plan = Plan(specification, token=token)
        self._balancer = Balancer(runtime, self._plan)
        self._faults = Faults()
        self._replicas = Replicas(runtime, self._plan, self._balancer, self._faults)
        self._replacements = Replacements(runtime, self._plan, self._replicas, self._faults)
        self._healing = Healing(
            runtime, self._plan, self._replicas, self._balancer, self._faults, token
        )
        self._changing = threading.RLock()

    def start(self, say: Say) -> None:
        """Start what the phase describes and does not run yet; return when all is ready."""
        with self._changing:
            if not self._plan.replicas:
                self._runtime.prepare(list(self._plan.services.values()), say)
                for service in self._plan.services:
                    for number in range(1, self._plan.spec.replicas.get(service, 1) + 1):
                        self._replicas.add(service, number)
            down = [r for r in self._plan.all() if self._replicas.is_down(r)]
            self._replicas.bring_up(down, say)

    def close(self, *, drain: bool) -> None:
        """Remove everything. Without `drain` the services get no time to finish their work."""
        self._replicas.closing.set()
        try:
            if drain:
                with self._changing:
                    begun = [r for r in self._plan.all() if r.began]
                    # The databases end last: services finish with them what they have begun.
                    self._replicas.drain([r for r in begun if r.service != POSTGRES], silent)
                    self._replicas.drain([r for r in begun if r.service == POSTGRES], silent)
        finally:
            self._runtime.destroy()

    # -- verbs that change --

    def scale(self, service: str, replicas: int, *, reload: bool = True, say: Say = silent) -> None:
        """Make `replicas` the number of replicas; those that leave get no more requests, and are drained.

        Without `reload` nginx keeps the addresses that it has until a later verb changes its list.
        """
        if not 1 <= replicas <= 8:
            raise LabError(f"A service has 1 to 8 replicas, not {replicas}.")
        with self._changing:
            self._plan.require_own_service(service, "have replicas to scale")
            present = self._plan.of(service)
            new = [self._replicas.add(service, n) for n in range(len(present) + 1, replicas + 1)]
            for replica in new:
                replica.serving = False
            try:
                self._replicas.bring_up(new, say)
            except BaseException:
                self._plan.drop(new)
                self._replicas.remove(new)
                raise
            for replica in new:
                replica.serving = True
            self._plan.drop(leaving := self._plan.of(service)[replicas:])
            self._balancer.stale |= bool(new or leaving)
            if reload and self._balancer.stale:
                self._balancer.follow()
            self._replicas.drain(leaving, say)
            self._replicas.remove(leaving)

    def configure(self, service: str, settings: Mapping[str, str], *, say: Say = silent) -> None:
        """Replace the replicas in place with other settings."""
        self._plan.check_settings(service, settings)
        with self._changing:
            chosen = self._plan.of(service)
            for replica in chosen:
                changed = {**replica.settings, **settings}
                self._plan.check_needs(service, replica.version, changed)
            self._replicas.replace(chosen, lambda replica: replica.settings.update(settings), say)

    def roll(
        self, service: str, version: str, replicas: Sequence[int] = (), *, say: Say = silent
    ) -> None:
        """Replace the replicas with these numbers, or all, by another version."""
        if not version:
            raise LabError(f"Say which version of {service}, such as 2.")
        self._plan.require_own_service(service, "have versions")
        with self._changing:
            names = [replica_id(service, number) for number in replicas] or [service]
            chosen = self._plan.targets(names)
            for replica in chosen:
                self._plan.check_needs(service, version, replica.settings)
            self._replicas.replace(
                chosen, lambda replica: setattr(replica, "version", version), say
            )

    def balance(
        self,
        algorithm: Algorithm,
        service: str | None = None,
        *,
        weights: Sequence[int] = (),
        max_fails: int = 1,
        fail_timeout: int = 1,
        backup: Sequence[int] = (),
        forwarded: bool = False,
        read_timeout: int = READ_TIMEOUT,
    ) -> None:
        """Set how nginx chooses among the replicas of one service, or of every service."""
        with self._changing:
            if service is not None:
                self._plan.service(service)
            chosen = [name for name in self._plan.fronted() if service in (None, name)]
            if not chosen:
                raise LabError(
                    "There is no nginx in front, so nothing is balanced. Phase 2 has one."
                )
            balance = Balance(
                algorithm,
                tuple(weights),
                max_fails,
                fail_timeout,
                tuple(backup),
                forwarded,
                read_timeout,
            )
            self._balancer.balance(chosen, balance)

    def restart(self, targets: Sequence[str], *, say: Say = silent) -> list[Timing]:
        """Stop the targets and start them, all at the same time; return their start-up times."""
        with self._changing:
            chosen = self._plan.targets(targets)
            self._replicas.drain(chosen, say)
            self._replicas.bring_up(chosen, say)
            self._balancer.follow()  # nginx also clears the list of replicas that it had passed over
            return [_timing(replica) for replica in chosen]

    # -- faults --

    def kill(self, targets: Sequence[str], *, holder: Holder = TERMINAL) -> None:
        """Send SIGKILL to the targets."""
        with self._changing:
            self._faults.begin(chosen := self._plan.targets(targets), KILLED, holder)
            self._replicas.each(chosen, lambda replica: self._runtime.kill(replica.id))

    def stop(self, targets: Sequence[str], *, holder: Holder = TERMINAL, say: Say = silent) -> None:
        """Drain the targets."""
        with self._changing:
            self._faults.begin(chosen := self._plan.targets(targets), STOPPED, holder)
            self._replicas.drain(chosen, say)

    def pause(self, targets: Sequence[str], *, holder: Holder = TERMINAL) -> None:
        """Freeze the targets."""

        def freeze(replica: Replica) -> None:
            try:
                self._runtime.pause(replica.id)
            except LabError:  # it does not run
                self._faults.forget(replica)
                raise

        with self._changing:
            self._faults.begin(chosen := self._plan.targets(targets), PAUSED, holder)
            self._replicas.each(chosen, freeze)

    def slow(self, targets: Sequence[str], seconds: float, *, holder: Holder = TERMINAL) -> None:
        """Make each request to the targets wait."""
        self._inject(targets, {"seconds": seconds}, SLOWED, holder)

    def fail(
        self, targets: Sequence[str], status: int, rate: float, *, holder: Holder = TERMINAL
    ) -> None:
        """Make the targets answer a share of the requests with an error."""
        self._inject(targets, {"status": status, "rate": rate}, FAILING, holder)

    def lose_database(self, targets: Sequence[str], *, holder: Holder = TERMINAL) -> None:
        """Take the databases away from the targets."""
        self._inject(targets, {"database": "away"}, WITHOUT_DATABASE, holder)

    def hold(
        self,
        targets: Sequence[str],
        *,
        hold: Mapping[str, Sequence[str]] | None = None,
        relay: bool = False,
        poison: Mapping[str, Sequence[str]] | None = None,
        overdue: Sequence[str] = (),
        holder: Holder = TERMINAL,
    ) -> None:
        """Hold or poison events of the targets, or count deadlines as passed."""
        held = {**(hold or {}), **({"relay": True} if relay else {})}
        fault = {"hold": held, "poison": dict(poison or {}), "overdue": list(overdue)}
        self._inject(targets, fault, AT_POINTS, holder)

    def crash(
        self,
        targets: Sequence[str],
        at: Point,
        event: str,
        after: int = 0,
        *,
        overdue: Sequence[str] = (),
        holder: Holder = TERMINAL,
    ) -> None:
        """End the targets at a point of an event's way."""
        crash = {"at": at, "event": event, "after": after}
        fault = {"crash": crash, "overdue": list(overdue)}
        self._inject(targets, fault, AT_POINTS, holder)

    def replace(
        self,
        service: str,
        target: str,
        source: str,
        *,
        holder: Holder = TERMINAL,
        say: Say = silent,
    ) -> None:
        """Run the service with another source for one of its functions or classes."""
        self._plan.require_own_service(service, "run your code")
        replacement = checked(service, target, source)
        with self._changing:
            self._replacements.begin(service, replacement, holder, say)

    def heal(self, targets: Sequence[str], *, say: Say = silent) -> None:
        """Resume and start the targets, and end their slowness and failures; return when they are ready."""
        with self._changing:
            chosen = self._plan.targets(targets)
            self._replacements.end(targets, say)
            self._healing.heal(chosen, say)

    def end_fault(self, holder: Holder, *, say: Say = silent) -> None:
        """Heal the replicas whose fault this holder caused."""
        with self._changing:
            self._replacements.end(self._replacements.held_by(holder), say)
            self._healing.heal(self._plan.targets(self._faults.held_by(holder)), say)

    def _inject(
        self, targets: Sequence[str], fault: Mapping[str, object], kind: str, holder: Holder
    ) -> None:
        with self._changing:
            self._healing.inject(targets, fault, kind, holder)

    # -- verbs that look --

    def services(self) -> dict[str, ServiceState]:
        """Return each service's version, address and replicas."""
        # One snapshot: a verb may be changing what should run meanwhile.
        planned = {name: list(rs) for name, rs in list(self._plan.replicas.items()) if rs}
        states = self._replicas.states([replica for rs in planned.values() for replica in rs])
        return {
            name: {
                "version": ", ".join(sorted({replica.version for replica in replicas})),
                "url": self._balancer.url(name) or replicas[0].url,
                "replicas": [states[replica.id] for replica in replicas],
            }
            for name, replicas in planned.items()
        }

    def url(self, service: str) -> str:
        """Return where a service is reached: its front at nginx, or else its first replica."""
        return self._balancer.url(service) or self._plan.targets([service])[0].url

    def replaced(self) -> dict[str, str]:
        """Return what runs in place of services' own code, by service."""
        replicas = self._plan.all()
        return {r.service: r.replacement.label for r in replicas if r.replacement}

    def logs(self, target: str, lines: int) -> str:
        """Return the last lines of a service (each replica under its id) or of one replica."""
        replicas = self._plan.targets([target])
        if len(replicas) == 1:
            return self._runtime.logs(replicas[0].id, lines)
        return "\n".join(f"--- {r.id}\n{self._runtime.logs(r.id, lines)}" for r in replicas)

    def points(self, target: str) -> dict[str, Points]:
        """Return what passed the points of each replica of a service, or of one replica."""
        replicas = self._plan.targets([target])
        for replica in replicas:
            self._plan.require_own_service(replica.service, "have points")
        return {replica.id: get_points(replica.url, self._token) for replica in replicas}

    def access_log(self) -> AccessLog:
        """Return nginx's access log."""
        return self._balancer.log()


def _timing(replica: Replica) -> Timing:
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
