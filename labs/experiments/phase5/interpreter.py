"""An interpreter of the checker's traces: performs each action on the running system, while all else is held."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from environment.waiting import wait_until
from labs.experiments.phase5.ends import place_good
from labs.experiments.phase5.names import ORDERS, READS, topic_of
from labs.experiments.phase5.rest import read_gauges
from labs.experiments.phase5.space_time import PUBLISH, READING, publisher_of
from labs.experiments.phase5.states import States, read_states

if TYPE_CHECKING:
    from environment import Environment
    from environment.client.targets import Hold

SECONDS = 20.0
"""Longest wait for one action: far longer than a busy machine needs, and longer than the grace of a deadline."""

DEADLINE = "deadline"


class Interpreter:
    """Performs actions of a trace on one order; inside its block nothing else happens to that order.

    An action is not possible when there is nothing to publish, or nothing to read.
    """

    def __init__(self, env: Environment) -> None:
        self._env, self._blocks = env, ExitStack()
        self._holds: dict[str, Hold] = {}
        self._published: set[str] = set()
        self.order = ""

    def __enter__(self) -> Self:
        for service in READS:
            block = self._env[service].held(_all(service), relay=True)
            self._holds[service] = self._blocks.enter_context(block)
        (self.order,) = place_good(self._env, 1)
        return self

    def __exit__(self, *_: object) -> None:
        self._blocks.close()

    def states(self) -> States:
        """Return the order's states now."""
        return read_states(self._env, self.order)

    def perform(self, action: str) -> bool:
        """Perform one action; return whether it was possible.

        Raises:
            ValueError: This interpreter has no such action.
        """
        name, reads, event = action.partition(READING)
        if reads:
            return self._read(f"{name}-service", event)
        if action.startswith(PUBLISH):
            return self._publish(action.removeprefix(PUBLISH))
        if action == DEADLINE:
            return self._pass_the_deadline()
        raise ValueError(f"no way to perform {action!r}")

    def _publish(self, event: str) -> bool:
        service = f"{publisher_of(event)}-service"
        before = self._passed(service, "sent", event)
        self._holds[service].replace(_all(service))
        wait_until(lambda: not read_gauges(self._env)[service, "outbox_events"], timeout=SECONDS)
        self._hold(service)
        sent = self._passed(service, "sent", event) > before
        self._published |= {event} if sent else set()
        return sent

    def _read(self, service: str, event: str) -> bool:
        topic = topic_of(event)
        arrived = {"topic": topic, "orderId": self.order}
        if event not in self._published or not wait_until(
            lambda: arrived in self._held(service), timeout=SECONDS
        ):
            return False
        before = self._passed(service, "committed", event)
        self._holds[service].replace(_all(service, but=topic), relay=True)
        done = wait_until(
            lambda: self._passed(service, "committed", event) > before, timeout=SECONDS
        )
        self._hold(service)
        return bool(done)

    def _pass_the_deadline(self) -> bool:
        before = self._passed(ORDERS, "committed", DEADLINE)
        if self.states().order != "pending":
            return False
        self._holds[ORDERS].replace(_all(ORDERS), relay=True, overdue=[self.order])
        passed = wait_until(
            lambda: self._passed(ORDERS, "committed", DEADLINE) > before, timeout=SECONDS
        )
        self._hold(ORDERS)
        return bool(passed)

    def _hold(self, service: str) -> None:
        self._holds[service].replace(_all(service), relay=True)

    def _passed(self, service: str, at: str, event: str) -> int:
        reports = self._env[service].points().values()
        return sum(report["passed"].get(at, {}).get(event, 0) for report in reports)

    def _held(self, service: str) -> list[object]:
        return [held for report in self._env[service].points().values() for held in report["held"]]


def _all(service: str, *, but: str = "") -> dict[str, list[str]]:
    return {topic: ["*"] for topic in READS[service] if topic != but}
