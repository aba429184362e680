"""How a release is judged: which attempts show anything, and what they show of each step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from labs.experiments.phase3.releases.steps import count_steps
from labs.judging import SETTLED, Case, Finding, doubt, every_attempt, on_schedule, verdict
from labs.verdicts import Verdict

WORK = 0.2
"""Seconds: a POST that is answered sooner is seldom under way when its replica is stopped."""

LAG_LIMIT = 0.1
"""Seconds of the load's lag p99: requests are counted here, and no latency is judged."""

BUSY = 1.5
"""As many times its work is more than a POST takes, one in ten excepted, on a machine with time."""


class Attempts(NamedTuple):
    """The attempts of a release, and the findings on their load and machine.

    Attributes:
        clear: The attempts that show what the release did.
        last: The latest attempt, whatever it shows.
        case: The doubts about the others; it has no name, since it stands for the whole release.
        details: How each attempt's load generator did, for the verdict's details.
    """

    clear: list[pd.DataFrame]
    last: pd.DataFrame
    case: Case
    details: Mapping[str, Any]

    @property
    def recorded(self) -> list[pd.DataFrame]:
        """The attempts whose numbers the verdict holds: the clear ones, and without any the latest."""
        return self.clear or [self.last]

    def judged(self, findings: Iterable[Finding]) -> list[Finding]:
        """Return the findings on `recorded`; without a clear attempt they count for nothing, since `case` doubts."""
        return list(findings) if self.clear else [SETTLED]


def sort_attempts(
    samples: pd.DataFrame,
    loads: Callable[[pd.DataFrame], Iterable[pd.DataFrame]] = lambda part: [part],
) -> Attempts:
    """Return which attempts show what the release did.

    Not those whose load generator lagged, nor those that are `too_busy`.
    """
    schedule = on_schedule(samples, lag_limit=LAG_LIMIT, loads=loads)
    last = schedule.attempts[-1]
    if schedule.finding:
        return Attempts([], last, Case("", [schedule.finding]), schedule.details)
    clear = [part for part in schedule.kept if not too_busy(part)]
    case = Case("", [_finding(part) for part in schedule.kept])
    return Attempts(clear, last, case, schedule.details)


def too_busy(attempt: pd.DataFrame) -> bool:
    """Return whether the machine had too little CPU time for the system.

    A POST then waits for the machine instead of its work, and fails by a time limit although its
    replica drains. So the latencies of the POSTs that were answered decide whether the attempt
    shows anything; if not, a POST that was not lost proves as little as one that was.
    """
    latency = attempt.loc[attempt["ok"], "latency"]
    return bool(latency.quantile(0.9) > BUSY * latency.quantile(0.05))


def _finding(attempt: pd.DataFrame) -> Finding:
    if too_busy(attempt):
        return doubt("the machine was too busy: the POSTs took far longer than their work")
    if attempt.loc[attempt["ok"], "latency"].median() < WORK:
        return doubt("the POSTs were too short to be lost: user-service needs USER_SECONDS")
    return SETTLED


def judge_release(
    experiment: str, judged: str, samples: pd.DataFrame, prediction: pd.DataFrame
) -> Verdict:
    """Judge a release that loses no POST and in which each version serves in its steps alone.

    Policy: every attempt. A POST that was lost once was lost, whatever other attempts show.

    Args:
        experiment: The module's `__name__`.
        judged: What has to hold.
        samples: `Posts.samples` of all attempts.
        prediction: The table that `count_steps` takes.
    """
    attempts = sort_attempts(samples)
    counts = [count_steps(part, prediction) for part in attempts.recorded]
    cases = [
        Case(
            steps[0].name,
            attempts.judged(step.finding for step in steps),
            {"attempts": [step.details for step in steps]},
        )
        for steps in zip(*counts, strict=True)
    ]
    return verdict(
        experiment, judged, [attempts.case, *cases], every_attempt, details=attempts.details
    )
