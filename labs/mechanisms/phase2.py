"""The mechanism to write in lab 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.experiment import until_conclusive
from labs.experiments.phase2 import limits
from labs.mechanisms.writing import Mechanism

if TYPE_CHECKING:
    from environment import Environment
    from labs.verdicts import Verdict


def _judge_limits(env: Environment) -> Verdict:
    env.configure("api-gateway", WORKERS=1)
    prediction = limits.predict(replicas=[1, 2])
    samples = until_conclusive(limits, prediction, env, seconds=2, replicas=[1, 2])
    return limits.judge(samples, prediction)


MECHANISMS = (
    Mechanism(
        title="A limit that replicas share",
        service="api-gateway",
        target="limiter.SharedLimiter.hit",
        task=(
            "Decide on a request, so that all replicas together admit at most `requests` requests of a client in any "
            "span of `seconds`; a request that was refused does not count, and nothing is stored for ever. `self` has "
            "both numbers, and `valkey`, a client: a sorted set can hold the times of requests (`zadd`, `zcard`, "
            "`zremrangebyscore`), and the commands of one `pipeline()`, or a script (`eval`), run without a command "
            "of another replica in between. Inside `with answering():` an error of Valkey becomes a 503. Return "
            "`Verdict(admitted, requests, seconds, remaining, reset_seconds)`, whose last number, 1 or more, is the "
            "seconds until there is room for a request."
        ),
        lines=17,
        judge=_judge_limits,
    ),
)
