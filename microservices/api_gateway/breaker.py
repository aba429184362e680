"""The circuit breaker: after failures in a row an upstream gets no requests for a while.

*closed*: requests pass. *open*, after BREAKER_FAILURES failures in a row: none does. *half-open*,
BREAKER_OPEN_SECONDS later: one request passes, the probe; its outcome closes or opens again. A
failure is a 5xx, or no response. Any other response, a 4xx too, shows that the upstream works, and
ends a row of failures. Each replica of the gateway has a breaker of its own.
`Breaker` is a thin layer over interlock, whose types stay in this module.
"""

import logging
from collections.abc import Awaitable, Callable
from functools import partial

import interlock
from prometheus_client import CollectorRegistry, Counter, Gauge

from microservices.api_gateway.http_client.connection import UpstreamResponse

log = logging.getLogger(__name__)

STATES = {
    interlock.State.CLOSED: "closed",
    interlock.State.OPEN: "open",
    interlock.State.HALF_OPEN: "half-open",
}


class CircuitOpen(Exception):
    """The breaker let no request pass; `retry_after` is in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"open for another {retry_after:.1f} s")
        self.retry_after = retry_after


class Breaker:
    """The breaker of one upstream."""

    def __init__(
        self, *, failures: int, open_seconds: float, changed: Callable[[str, str], None]
    ) -> None:
        """Start closed; `changed` is called at each change of the state, with the old one and the new one."""
        config = interlock.Config(
            # The last `failures` calls, all of them failed: that is a row of failures.
            window_size=failures,
            minimum_number_of_calls=failures,
            failure_rate_threshold=1.0,
            slow_call_duration_threshold=float("inf"),
            wait_duration_in_open=open_seconds,
            permitted_calls_in_half_open=1,
            max_concurrent_probes=1,
        )
        self._breaker = interlock.CircuitBreaker(
            name="upstream",
            config=config,
            classifier=Classifier(self),
            listener=Listener(changed),
        )

    @property
    def state(self) -> str:
        """`closed`, `open` or `half-open`."""
        return STATES[self._breaker.state]

    async def call(self, send: Callable[[], Awaitable[UpstreamResponse]]) -> UpstreamResponse:
        """Await `send()`, if the breaker lets a request pass.

        Raises:
            CircuitOpen: It does not; `send` was not called.
        """
        try:
            return await self._breaker.call_async(send)
        except interlock.CircuitOpenError as error:
            # Without a time, the probe is in flight, and its outcome decides within moments.
            raise CircuitOpen(error.retry_after or 1.0) from None

    def is_failure(self, status: int) -> bool:
        """Return whether a response with this status is a failure of the upstream; no response is always one."""
        return status >= 500


class Classifier:
    """Decides for interlock which outcomes of a breaker's calls are failures."""

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker

    def is_failure(self, *, result: object, exception: Exception | None) -> bool:
        """Return whether a call failed: it has no response, or one that the breaker counts as a failure."""
        return exception is not None or (
            isinstance(result, UpstreamResponse) and self._breaker.is_failure(result.status)
        )


class Listener:
    """Receives the changes of a breaker's state from interlock."""

    def __init__(self, changed: Callable[[str, str], None]) -> None:
        self._changed = changed

    def on_state_change(self, *, name: str, old: interlock.State, new: interlock.State) -> None:
        """Pass a change on."""
        self._changed(STATES[old], STATES[new])

    def on_call(self, *, name: str, outcome: interlock.Outcome, duration: float) -> None:
        """Do nothing: requests are counted where they are answered."""

    def on_rejected(self, *, name: str) -> None:
        """Do nothing: requests are counted where they are answered."""

    def on_reset(self, *, name: str) -> None:
        """Do nothing: this breaker is never reset."""


class BreakerMetrics:
    """The lines in the log, and the metrics, of the breaker of the upstream `name`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._transitions: Counter | None = None

    def changed(self, old: str, new: str) -> None:
        """Log a change of state, and count it."""
        log.warning("circuit breaker of %s is %s, was %s", self.name, new, old)
        if self._transitions is not None:
            self._transitions.labels(self.name, new).inc()

    def observe(self, breaker: Breaker, registry: CollectorRegistry) -> None:
        """Register the state, and its changes, for `/metrics`."""
        gauge = Gauge(
            "circuit_breaker_state",
            "1 for the state the breaker is in",
            ["upstream", "state"],
            registry=registry,
        )
        for state in STATES.values():
            gauge.labels(self.name, state).set_function(partial(_is, breaker, state))
        self._transitions = Counter(
            "circuit_breaker_transitions",
            "Changes of state, by the new one",
            ["upstream", "state"],
            registry=registry,
        )


def _is(breaker: Breaker, state: str) -> float:
    return float(breaker.state == state)
