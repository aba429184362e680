"""Replacements of a service's code: which stand, what caused each, how one begins and ends.

A replacement belongs to a service: all its replicas have it, also those that start while it stands. So it is recorded
apart from the faults of replicas, and a replica of it may be killed, paused or slowed as any other.
"""

import time
from collections.abc import Sequence

from environment.errors import LabError, NotReady
from environment.progress import Say
from environment.replacing import Replacement
from environment.replacing.explanation import explained
from environment.runtimes import Runtime
from environment.supervisor.faults import REPLACED, Fault, Faults
from environment.supervisor.log_excerpt import LINES_READ, MARK_LINES, since
from environment.supervisor.plan import Plan, Replica
from environment.supervisor.replicas import Replicas
from environment.verbs import Holder


class Replacements:
    """The replacements of a session's services, at most one each."""

    def __init__(self, runtime: Runtime, plan: Plan, replicas: Replicas, faults: Faults) -> None:
        self._runtime, self._plan, self._replicas, self._faults = runtime, plan, replicas, faults
        self._standing: dict[str, Fault] = {}

    def begin(self, service: str, replacement: Replacement, holder: Holder, say: Say) -> None:
        """Start each replica of a service anew with the replacement; if one does not start, restore all.

        Raises:
            LabError: the service has a replacement, or one of its replicas a fault; or it did not start.
        """
        chosen = self._plan.of(service)
        if other := self._standing.get(service):
            raise LabError(_refusal(service, other))
        self._faults.require_none(chosen)
        before = {replica.id: self._runtime.logs(replica.id, MARK_LINES) for replica in chosen}

        def change(replica: Replica) -> None:
            replica.replacement = replacement

        try:
            self._replicas.replace(chosen, change, say)
        except NotReady as error:
            logs = [since(self._runtime.logs(name, LINES_READ), before[name]) for name in before]
            text = explained(service, replacement, "\n".join(logs), otherwise=str(error))
            raise NotReady(text) from error
        self._standing[service] = Fault(REPLACED, holder, time.time())

    def end(self, services: Sequence[str], say: Say) -> None:
        """Restore the original of these services; replicas that are down stay so, and start with it later on."""
        for service in services:
            if service not in self._standing:
                continue
            chosen = self._plan.of(service)
            down = [replica for replica in chosen if self._replicas.is_down(replica)]
            for replica in down:
                _restore(replica)
            self._replicas.replace([r for r in chosen if r not in down], _restore, say)
            del self._standing[service]

    def held_by(self, holder: Holder) -> list[str]:
        """Return the services whose replacement this holder caused."""
        return [name for name, fault in self._standing.items() if fault.holder == holder]


def _restore(replica: Replica) -> None:
    replica.replacement = None


def _refusal(service: str, fault: Fault) -> str:
    block = "Let that block end first, or heal it" if fault.holder.process else "Heal it first"
    return (
        f"{service} has a replacement already: it was {fault.kind} by {fault.holder} "
        f"{time.time() - fault.began:.0f} s ago. {block} with `lab heal {service}`."
    )
