"""The targets of faults: a service, or one of its replicas."""

import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from environment.states import ReplicaState, ServiceState
from environment.verbs import Holder, Verbs

if TYPE_CHECKING:
    from environment.client.environment import Environment

_BLOCKS = itertools.count(1)


@dataclass
class Fault:
    """When a fault began and when it was healed, in Unix seconds. `ended` is None inside the block."""

    began: float
    ended: float | None = None


class Target:
    """A service (all its replicas) or one replica. Each fault is a block, so it heals at the block's end.

    A replica has one fault at a time: the session refuses a second one, whatever caused the first. Only what is paused
    may be killed inside its block.
    """

    def __init__(self, environment: "Environment", name: str) -> None:
        self._environment, self._name = environment, name

    def killed(self) -> AbstractContextManager[Fault]:
        """Send SIGKILL at once; the block's end starts it again and waits until it is ready."""
        return self._block(lambda verbs, holder: verbs.kill([self._name], holder=holder))

    def stopped(self) -> AbstractContextManager[Fault]:
        """Send SIGTERM: it finishes what it has begun, then ends; the block's end starts it again."""
        return self._block(lambda verbs, holder: verbs.stop([self._name], holder=holder))

    def paused(self) -> AbstractContextManager[Fault]:
        """Freeze it: it accepts connections and never answers; the block's end resumes it."""
        return self._block(lambda verbs, holder: verbs.pause([self._name], holder=holder))

    def slowed(self, seconds: float) -> AbstractContextManager[Fault]:
        """Make every request wait `seconds` before it is worked on."""
        return self._block(lambda verbs, holder: verbs.slow([self._name], seconds, holder=holder))

    def failing(self, status: int = 503, rate: float = 1.0) -> AbstractContextManager[Fault]:
        """Answer a share `rate` (0 to 1) of the requests with `status` at once."""
        return self._block(
            lambda verbs, holder: verbs.fail([self._name], status, rate, holder=holder)
        )

    def logs(self, lines: int = 50) -> str:
        """Return the last `lines` that it wrote, earlier lives included."""
        return self._environment._verbs.logs(self._name, lines)

    @contextmanager
    def _block(self, begin: Callable[[Verbs, Holder], None]) -> Iterator[Fault]:
        holder = Holder(os.getpid(), next(_BLOCKS))
        fault = Fault(began=time.time())
        try:
            begin(self._environment._verbs, holder)
            yield fault
        finally:
            # Also after an interrupt, and after a fault that took effect on only half of the replicas.
            if self._environment.running:
                self._environment._verbs.end_fault(holder)
            fault.ended = time.time()


class Replica(Target):
    """One running copy of a service, as it was when it was read.

    `memory` in bytes; `began` (Unix seconds) when its present life began, `ready_seconds` from then until it was ready,
    `cpu_seconds` the CPU time that took.
    """

    def __init__(self, environment: "Environment", state: ReplicaState) -> None:
        super().__init__(environment, state["id"])
        self.id = state["id"]
        self.url = state["url"]
        self.pid = state["pid"]
        self.container = state["container"]
        self.ready = state["ready"]
        self.version = state["version"]
        self.memory = state["memory"]
        self.began = state["began"]
        self.ready_seconds = state["readySeconds"]
        self.cpu_seconds = state["cpuSeconds"]

    def __repr__(self) -> str:
        readiness = "ready" if self.ready else "not ready"
        return f"<{self.id} version {self.version} at {self.url}, {readiness}>"


class Service(Target):
    """One service of a running environment. Its addresses stay the same; everything else is read anew each time."""

    @property
    def name(self) -> str:
        """The service's name in docker-compose.yml."""
        return self._name

    @property
    def version(self) -> str:
        """Its replicas' version; all of them, such as `"1, 2"`, while only some are replaced."""
        return self._state()["version"]

    @property
    def url(self) -> str:
        """Where to reach the service: its front at nginx, or its first replica where no nginx stands in front."""
        return self._state()["url"]

    @property
    def replicas(self) -> list[Replica]:
        """Its replicas, as they are now."""
        return [Replica(self._environment, state) for state in self._state()["replicas"]]

    def __repr__(self) -> str:
        state = self._state()
        return f"<{self._name} version {state['version']}, {len(state['replicas'])} replica(s) at {state['url']}>"

    def _state(self) -> ServiceState:
        return self._environment.state()["services"][self._name]
