"""Which replica has a fault, and what caused it: the record that all clients of a session share."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from environment.errors import LabError
from environment.supervisor.plan import Replica
from environment.verbs import Holder

KILLED, STOPPED, PAUSED, SLOWED, FAILING = "killed", "stopped", "paused", "slowed", "made to fail"
WITHOUT_DATABASE = "cut off from its database"
AT_POINTS = "given a fault at a point of its events' way"
REPLACED = "given other code"


@dataclass(frozen=True)
class Fault:
    """One fault of one replica; `began` in Unix seconds."""

    kind: str
    holder: Holder
    began: float


class Faults:
    """The faults of a session's replicas, at most one each: the end of a second one would heal the first unnoticed."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}

    def begin(self, replicas: Sequence[Replica], kind: str, holder: Holder) -> None:
        """Record a fault of these replicas.

        Raises:
            LabError: one of them has a fault already; the message names its cause and how to heal it.
        """
        fault, names = Fault(kind, holder, time.time()), {replica.id for replica in replicas}
        for replica in replicas:
            other = self._faults.get(replica.id)
            if other and not self._may_replace(other, fault, names):
                raise LabError(_refusal(replica, other))
        self._faults.update(dict.fromkeys(names, fault))

    def require_none(self, replicas: Sequence[Replica]) -> None:
        """Raise `LabError` when one of these replicas has a fault."""
        for replica in replicas:
            if other := self._faults.get(replica.id):
                raise LabError(_refusal(replica, other))

    def held_by(self, holder: Holder) -> list[str]:
        """Return the ids of the replicas whose fault this holder caused."""
        return [name for name, fault in self._faults.items() if fault.holder == holder]

    def forget(self, *replicas: Replica) -> None:
        """Remove the faults of replicas that are healed, or gone."""
        for replica in replicas:
            self._faults.pop(replica.id, None)

    def _may_replace(self, old: Fault, new: Fault, names: set[str]) -> bool:
        """Return whether it is the same fault once more, or the kill of what the same client has paused.

        A killed replica is started again when it is healed, so that nothing is left of its pause either. A block may
        kill only exactly what an outer block has paused: its end heals all of it.
        """
        if (old.kind, old.holder) == (new.kind, new.holder):
            return True
        if (old.kind, new.kind) != (PAUSED, KILLED) or old.holder.process != new.holder.process:
            return False
        return not new.holder.process or names == set(self.held_by(old.holder))


def _refusal(replica: Replica, fault: Fault) -> str:
    verb = "resume" if fault.kind == PAUSED else "restart"
    heal = f"`lab {verb} {replica.service} --replica {replica.number}`"
    block = "Let that block end first, or heal it" if fault.holder.process else "Heal it first"
    return (
        f"{replica.id} has a fault already: it was {fault.kind} by {fault.holder} "
        f"{time.time() - fault.began:.0f} s ago. {block} with {heal}."
    )
