"""The mechanism to write in lab 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.mechanisms import readiness
from labs.mechanisms.writing import Mechanism

if TYPE_CHECKING:
    from environment import Environment
    from labs.verdicts import Verdict


def _judge_readiness(env: Environment) -> Verdict:
    samples = readiness.measure(env)
    return readiness.judge(samples)


MECHANISMS = (
    Mechanism(
        title="A health check that does not lie",
        service="payment-service",
        target="kit.http.probes.unready",
        task=(
            "Write what `/ready` answers: why this replica takes no requests, or `None` when it takes them. It takes "
            "none while it drains, and none when one of its parts (the database is one) returns a reason, raises, or "
            "does not answer within `NEED_SECONDS`. It asks anew at every probe, and the first part that is away gives "
            "the reason."
        ),
        lines=13,
        judge=_judge_readiness,
    ),
)
