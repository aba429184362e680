"""The mechanism to write in lab 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.experiment import until_conclusive
from labs.experiments.phase1 import circuit_breaker
from labs.mechanisms.writing import Mechanism

if TYPE_CHECKING:
    from environment import Environment
    from labs.verdicts import Verdict


def _judge_breaker(env: Environment) -> Verdict:
    prediction = circuit_breaker.predict(failures=3, refusals=20)
    samples = until_conclusive(circuit_breaker, prediction, env, open_seconds=1, refusals=20)
    return circuit_breaker.judge(samples, prediction)


MECHANISMS = (
    Mechanism(
        title="A circuit breaker",
        service="api-gateway",
        target="breaker.Breaker",
        task=(
            "Write the breaker of one upstream without a library. After `failures` failures in a row `call` sends "
            "nothing for `open_seconds` and raises `CircuitOpen` with the seconds that remain; then one request "
            "passes, the probe, whose outcome closes the breaker or opens it again, and the others are refused "
            "meanwhile. A failure is a response for which `is_failure` returns true, or an exception, which `call` "
            "passes on; a request whose client goes away (`asyncio.CancelledError`) is no failure, and must "
            "not keep the breaker half-open."
        ),
        lines=36,
        judge=_judge_breaker,
    ),
)
