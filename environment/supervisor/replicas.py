"""The replicas of one session on one runtime: started, awaited, drained, replaced, and described."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from environment.errors import NotReady
from environment.nginx import PROXY
from environment.passwords import password_file
from environment.progress import Say
from environment.replacing import Replacement
from environment.runtimes import Launch, Runtime
from environment.states import ReplicaState
from environment.supervisor.balancer import Balancer
from environment.supervisor.faults import Faults
from environment.supervisor.log_excerpt import LINES_READ, MARK_LINES, excerpt
from environment.supervisor.plan import Plan, Replica
from environment.supervisor.probes import probe
from environment.waiting import wait_until

READY_SECONDS = 30.0
PROBE_SECONDS = 0.06
"""Between two probes of a replica that starts: several are probed at once, and probes take the cores they start on."""

_PROBES_AT_A_TIME = 16


class Replicas:
    """Carries out on the runtime what the verbs decide. The plan holds what should run."""

    def __init__(self, runtime: Runtime, plan: Plan, balancer: Balancer, faults: Faults) -> None:
        self._runtime, self._plan, self._balancer, self._faults = runtime, plan, balancer, faults
        self.closing = threading.Event()
        """Set when the session ends: nothing is awaited any longer."""

    def add(self, service: str, number: int) -> Replica:
        """Plan one more replica, with an address of its own."""
        described = self._plan.service(service)
        replica = self._plan.add(service, number)
        addresses = self._runtime.reserve(
            described,
            number,
            names=self._plan.names(service, number),
            fixed=self._plan.fixed_ports(service, number),
        )
        address = addresses[self._plan.entrance(service)]
        scheme = "http" if described.speaks_http or service == PROXY else "tcp"
        replica.url, replica.inside = f"{scheme}://{address.outside}", address.inside
        if service == PROXY:
            self._balancer.set_addresses(addresses)
        return replica

    def remove(self, replicas: Iterable[Replica]) -> None:
        """Kill replicas and give their addresses back."""
        for replica in replicas:
            self._runtime.remove(replica.id)
            self._faults.forget(replica)

    def bring_up(self, replicas: Sequence[Replica], say: Say) -> None:
        """Start replicas, all at the same time; return when all are ready. A restarted replica has no fault."""
        done = 0
        stores = {
            r.id: threading.Event()
            for r in replicas
            if not self._plan.service(r.service).speaks_http
        }

        def up(replica: Replica) -> None:
            nonlocal done
            replica.logged = self._runtime.logs(replica.id, MARK_LINES) if replica.began else ""
            replica.began, replica.ready = time.time(), None
            described, files = self._plan.described(replica), self._files(replica)
            replacement = replica.replacement
            variables = {"REPLACED": replacement.variable()} if replacement else {}
            launch = Launch(described, replica.number, files, variables)
            try:
                self._runtime.start(launch)
                if replica.id not in stores:
                    # It starts beside them, but is ready only after its Kafka: that is not its time.
                    for store in stores.values():
                        store.wait()
                self.await_ready(replica)
            finally:
                if replica.id in stores:
                    stores[replica.id].set()
            replica.ready = time.time()
            replica.cpu_seconds = self._runtime.usage(replica.id).cpu_seconds
            self._faults.forget(replica)
            done += 1
            say(f"{replica.id} ready ({done} of {len(replicas)})")

        if replicas:
            say(f"starting {len(replicas)} replica(s) on {self._runtime.name}")
        self.each(replicas, up)

    def await_ready(self, replica: Replica) -> None:
        """Wait until a replica is ready. Raises `NotReady`, soon when it has ended."""
        evidence = self._plan.services[replica.service].x_lab.ready
        response = "nothing yet"

        def ready() -> bool:
            nonlocal response
            answered, response = self._answers(replica, evidence)
            return answered

        def dead() -> bool:
            condition = self._runtime.status(replica.id).condition
            return self.closing.is_set() or condition not in ("running", "paused")

        if not wait_until(ready, timeout=READY_SECONDS, every=PROBE_SECONDS, give_up=dead):
            raise NotReady(self._why_not_ready(replica, evidence, response))

    def drain(self, replicas: Sequence[Replica], say: Say) -> None:
        """Stop replicas: the service's signal (SIGTERM), and SIGKILL after the service's grace period."""
        for replica in replicas:
            say(f"stopping {replica.id}")

        def stop(replica: Replica) -> None:
            grace = self._plan.services[replica.service].stop_grace_period
            self._runtime.stop(replica.id, grace)

        self.each(replicas, stop)

    def replace(
        self, replicas: Sequence[Replica], change: Callable[[Replica], None], say: Say
    ) -> None:
        """Change replicas and start each anew at its address, one after the other; if one fails, restore all."""
        changed: list[tuple[Replica, str, dict[str, str], Replacement | None]] = []
        try:
            for replica in replicas:
                changed.append(
                    (replica, replica.version, dict(replica.settings), replica.replacement)
                )
                change(replica)
                self._renew(replica, say)
        except BaseException:
            say(f"{changed[-1][0].id}: the change failed, going back")
            for replica, version, settings, replacement in changed:
                replica.version, replica.settings = version, settings
                replica.replacement = replacement
                self._renew(replica, say)
            raise
        finally:
            self._balancer.follow()

    def is_down(self, replica: Replica) -> bool:
        """Return whether a replica does not run, and is not paused either."""
        return self._runtime.status(replica.id).condition in ("exited", "absent")

    def each(self, replicas: Sequence[Replica], action: Callable[[Replica], None]) -> None:
        """Do it to all at the same time; every one is finished when the first error is raised."""
        if not replicas:
            return
        with ThreadPoolExecutor(len(replicas)) as pool:
            for future in [pool.submit(action, replica) for replica in replicas]:
                future.result()

    def states(self, replicas: Sequence[Replica]) -> dict[str, ReplicaState]:
        """Return the states of replicas by their ids."""
        with ThreadPoolExecutor(_PROBES_AT_A_TIME) as pool:
            states = pool.map(self._state, replicas)
            return {state["id"]: state for state in states}

    def _renew(self, replica: Replica, say: Say) -> None:
        """Start a replica anew at the same address; nginx sends requests to the others meanwhile, if there are any."""
        try:
            if len(self._plan.of(replica.service)) > 1:
                replica.serving = False
                self._balancer.follow()
            self.drain([replica], say)
            self.bring_up([replica], say)
        finally:
            replica.serving = True

    def _files(self, replica: Replica) -> Mapping[str, bytes]:
        """Return the files that lie on a replica's volume before it starts."""
        if replica.service == PROXY:
            return self._balancer.files()
        return password_file(replica.service, self._plan.password)

    def _answers(self, replica: Replica, evidence: str) -> tuple[bool, str]:
        return probe(replica.url, evidence, password=self._plan.password)

    def _why_not_ready(self, replica: Replica, evidence: str, response: str) -> str:
        if self.closing.is_set():
            return f"{replica.id} was not awaited any longer: the session is being removed."
        status = self._runtime.status(replica.id)
        log = self._runtime.logs(replica.id, LINES_READ)
        waited = time.time() - (replica.began or time.time())
        how = f"ended with exit code {status.exit_code}" if status.condition == "exited" else "runs"
        return (
            f"{replica.id} did not become ready: awaited `{evidence}` at {replica.url} for "
            f"{waited:.1f} s (limit {READY_SECONDS:.0f} s); it {how}; last answer: {response}\n"
            f"From its log:\n{excerpt(log, replica.logged) or '(nothing)'}\n"
            "Next: repair the cause that the log names, then run the same command or cell again."
        )

    def _state(self, replica: Replica) -> ReplicaState:
        status, usage = self._runtime.status(replica.id), self._runtime.usage(replica.id)
        evidence = self._plan.services[replica.service].x_lab.ready
        ready = status.condition == "running" and self._answers(replica, evidence)[0]
        seconds = replica.ready - replica.began if replica.ready and replica.began else None
        return {
            "id": replica.id,
            "url": replica.url,
            "pid": status.pid,
            "container": status.container,
            "ready": ready,
            "condition": status.condition,
            "exitCode": _as_a_shell_counts(status.exit_code),
            "version": replica.version,
            "memory": usage.memory,
            "began": replica.began,
            "readySeconds": seconds,
            "cpuSeconds": replica.cpu_seconds,
        }


def _as_a_shell_counts(code: int | None) -> int | None:
    """Return an exit code of `subprocess`, which is negative after a signal, as shells and Docker give it."""
    return 128 - code if code is not None and code < 0 else code
