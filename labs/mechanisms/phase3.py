"""The mechanism to write in lab 3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.experiment import until_conclusive
from labs.experiments.phase3 import autoscaling
from labs.mechanisms.writing import Mechanism

if TYPE_CHECKING:
    from environment import Environment
    from labs.experiments.phase3.scaling_loop import Choose
    from labs.verdicts import Verdict


def _judge_autoscaler(env: Environment, choose: Choose) -> Verdict:
    env.balance("round_robin", "api-gateway")
    prediction = autoscaling.predict(swings=1, window=2)
    samples = until_conclusive(autoscaling, prediction, env, choose=choose)
    return autoscaling.judge(samples, prediction)


MECHANISMS = (
    Mechanism(
        title="An autoscaler's choice",
        service=None,
        target="labs.experiments.phase3.autoscaler.choose",
        task=(
            "Write the function that the loop calls at the end of each interval, without `recommended` and "
            "`stabilised`. Each interval of the window requires its replicas x its utilisation / `TARGET`, rounded up, "
            "or the replicas that it had where the utilisation is within `TOLERANCE` (a share) of the target, and "
            "never fewer than `LEAST` or more than `MOST`. Return the highest of these numbers, so that the loop "
            "scales up at once, and down late."
        ),
        lines=9,
        judge=_judge_autoscaler,
    ),
)
