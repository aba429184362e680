"""The targets of faults: a service, or one of its replicas."""

import itertools
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from environment.replacing.sources import source_of
from environment.states import Points, ReplicaState, ServiceState
from environment.verbs import Holder, Point, Verbs

if TYPE_CHECKING:
    from environment.client.environment import Environment

_BLOCKS = itertools.count(1)


@dataclass
class Fault:
    """When a fault began and when it was healed, in Unix seconds. `ended` is None inside the block."""

    began: float
    ended: float | None = None


Orders = Mapping[str, Collection[str]]
"""Order ids by topic; `"*"` is every order."""


@dataclass
class Hold(Fault):
    """A fault of events that can be changed inside its block."""

    _change: Callable[..., None] = lambda **_: None

    def replace(
        self,
        events: Orders | None = None,
        *,
        relay: bool = False,
        poison: Orders | None = None,
        overdue: Collection[str] = (),
    ) -> None:
        """Hold these events instead of those before; the arguments are those of `held`."""
        self._change(events, relay, poison, overdue)


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

    def without_database(self) -> AbstractContextManager[Fault]:
        """Take the database away from it: every read and write fails, and a correct `/ready` answers 503."""
        return self._block(lambda verbs, holder: verbs.lose_database([self._name], holder=holder))

    @contextmanager
    def held(
        self,
        events: Orders | None = None,
        *,
        relay: bool = False,
        poison: Orders | None = None,
        overdue: Collection[str] = (),
    ) -> Iterator[Hold]:
        """Hold events before anything is done with them; the block's end releases all of them.

        Args:
            events: the orders whose events wait, by topic: `{"order-created": ["*"]}`. The consumer goes on polling.
            relay: publish nothing.
            poison: the orders whose effects raise, by topic.
            overdue: the orders whose deadline counts as passed.
        """
        holder = Holder(os.getpid(), next(_BLOCKS))

        def change(
            events: Orders | None, relay: bool, poison: Orders | None, overdue: Collection[str]
        ) -> None:
            self._environment._verbs.hold(
                [self._name],
                hold=_lists(events),
                relay=relay,
                poison=_lists(poison),
                overdue=list(overdue),
                holder=holder,
            )

        with self._block(lambda *_: change(events, relay, poison, overdue), holder) as fault:
            yield Hold(fault.began, _change=change)

    def crashing(
        self, at: Point, event: str, *, after: int = 0, overdue: Collection[str] = ()
    ) -> AbstractContextManager[Fault]:
        """End it when an event passes a point, after so many passes; the block's end starts it again.

        Args:
            at: `"begun"` (its effect is not committed), `"committed"` (it is, and nothing is published) or `"sent"`
                (Kafka has the event, and its row is still in the outbox).
            event: an event type such as `"InventoryFailed"`, or `"deadline"` or `"refund"`.
            after: how many passes are let through before.
            overdue: the orders whose deadline counts as passed until then.
        """
        return self._block(
            lambda verbs, holder: verbs.crash(
                [self._name], at, event, after, overdue=list(overdue), holder=holder
            )
        )

    def points(self) -> dict[str, Points]:
        """Return, by replica, how often each event passed each point since the start, and what is held now."""
        return self._environment._verbs.points(self._name)

    def logs(self, lines: int = 50) -> str:
        """Return the last `lines` that it wrote, earlier lives included."""
        return self._environment._verbs.logs(self._name, lines)

    @contextmanager
    def _block(
        self, begin: Callable[[Verbs, Holder], None], holder: Holder | None = None
    ) -> Iterator[Fault]:
        holder = holder or Holder(os.getpid(), next(_BLOCKS))
        fault = Fault(began=time.time())
        try:
            begin(self._environment._verbs, holder)
            yield fault
        finally:
            # Also after an interrupt, and after a fault that took effect on only half of the replicas.
            if self._environment.running:
                self._environment._verbs.end_fault(holder)
            fault.ended = time.time()


def _lists(orders: Orders | None) -> dict[str, list[str]]:
    return {topic: list(ids) for topic, ids in (orders or {}).items()}


class Replica(Target):
    """One running copy of a service, as it was when it was read.

    `condition` is `running`, `paused`, `exited` or `absent`; `exit_code` is None while it runs. `memory` in bytes;
    `began` (Unix seconds) when its present life began, `ready_seconds` from then until it was ready,
    `cpu_seconds` the CPU time that took.
    """

    def __init__(self, environment: "Environment", state: ReplicaState) -> None:
        super().__init__(environment, state["id"])
        self.id = state["id"]
        self.url = state["url"]
        self.pid = state["pid"]
        self.container = state["container"]
        self.ready = state["ready"]
        self.condition = state["condition"]
        self.exit_code = state["exitCode"]
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

    def replaced(
        self, target: str, by: Callable[..., Any] | type | str | Path
    ) -> AbstractContextManager[Fault]:
        """Start each replica anew with your code in place of the service's own; the block's end restores it.

        Your code runs in the service alone. The names of the original's module are at hand in it. Replicas that start
        inside the block, after a kill too, have it as well. Nothing is replaced unless all replicas become ready.

        Args:
            target: a function, a method or a class, after its module: `"breaker.Breaker.is_failure"`.
            by: a function or class from a cell; or its source, as a text or a file (`Path`), which may also import
                modules, and define constants and helpers.

        Raises:
            LabError: on entry, when the code cannot stand for the original, or the service does not start with it; the
                message has the line.
        """
        source = source_of(by)
        return self._block(
            lambda verbs, holder: verbs.replace(self._name, target, source, holder=holder)
        )

    @property
    def name(self) -> str:
        """The service's name in docker-compose.yml."""
        return self._name

    @property
    def version(self) -> str:
        """Its replicas' version; all of them, such as `"1, 2"`, while only some are replaced."""
        return self._state()["version"]

    @property
    def replacement(self) -> str | None:
        """What runs in place of a part of its code, with the source's hash; None when nothing does."""
        return self._environment.replacements().get(self._name)

    @property
    def url(self) -> str:
        """Where to reach the service: its front at nginx, or its first replica where no nginx stands in front."""
        return self._environment._verbs.url(self._name)

    @property
    def replicas(self) -> list[Replica]:
        """Its replicas, as they are now."""
        return [Replica(self._environment, state) for state in self._state()["replicas"]]

    def __repr__(self) -> str:
        state = self._state()
        return f"<{self._name} version {state['version']}, {len(state['replicas'])} replica(s) at {state['url']}>"

    def _state(self) -> ServiceState:
        return self._environment.state()["services"][self._name]
