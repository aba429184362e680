"""Faults inside of replicas, by their `/faults`, and the healing of every fault of replicas."""

from collections.abc import Mapping, Sequence
from typing import Any

from environment.errors import LabError, NotReady
from environment.nginx import PROXY
from environment.progress import Say
from environment.runtimes import Runtime
from environment.supervisor.balancer import Balancer
from environment.supervisor.faults import Faults
from environment.supervisor.plan import Plan, Replica
from environment.supervisor.probes import put_fault
from environment.supervisor.replicas import Replicas
from environment.verbs import Holder


class Healing:
    """Puts faults into a session's replicas, and ends them."""

    def __init__(
        self,
        runtime: Runtime,
        plan: Plan,
        replicas: Replicas,
        balancer: Balancer,
        faults: Faults,
        token: str,
    ) -> None:
        self._runtime, self._plan, self._replicas = runtime, plan, replicas
        self._balancer, self._faults, self._token = balancer, faults, token

    def inject(
        self, targets: Sequence[str], fault: Mapping[str, Any], kind: str, holder: Holder
    ) -> None:
        """Put a fault into the targets, which have to be the course's own services."""
        chosen = self._plan.targets(targets)
        for replica in chosen:
            self._plan.require_own_service(replica.service, "can be slowed, or made to fail")
        self._faults.begin(chosen, kind, holder)
        self._replicas.each(chosen, lambda replica: put_fault(replica.url, fault, self._token))

    def heal(self, replicas: Sequence[Replica], say: Say) -> None:
        """Resume and start replicas, and end their faults; return when they are ready."""
        down, ended = [], []
        for replica in replicas:
            condition = self._runtime.status(replica.id).condition
            if condition == "paused":
                self._runtime.resume(replica.id)
            elif condition != "running":
                down.append(replica)
            # First: a poisoned event keeps its partition waiting, and the replica is not ready until that ends.
            elif self._plan.service(replica.service).speaks_http and self._end_faults(replica):
                ended.append(replica)
        try:
            self._replicas.bring_up(down, say)
            for replica in replicas:
                self._replicas.await_ready(replica)
                if self._plan.service(replica.service).speaks_http:
                    put_fault(replica.url, {}, self._token)
        except NotReady:
            self._faults.forget(*ended)  # these have no fault any more, ready or not
            raise
        self._faults.forget(*replicas)
        if down or PROXY in [replica.service for replica in replicas]:
            # nginx then clears the list of replicas that it had passed over; and it may itself have missed a change.
            self._balancer.follow()

    def _end_faults(self, replica: Replica) -> bool:
        """Return whether the replica has no fault now; it may not answer yet, and then it has none once it is ready."""
        try:
            put_fault(replica.url, {}, self._token)
        except LabError:
            return False
        return True
