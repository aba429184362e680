"""What a release did to the requests of each of its steps, counted."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from labs.judging import SETTLED, Finding, doubt, failure

EDGE = 0.05
"""Seconds by which nginx may be done with an answer before the client is."""

ENOUGH = 20
"""Requests in each step whose answers are judged."""


@dataclass(frozen=True)
class Step:
    """The requests of one step in one attempt, counted.

    Attributes:
        name: The step.
        requests: How many were sent in it.
        failed: How many got no good answer.
        wrong: How many created more than one user, or were answered and created none.
        share: The part that version 2 served, 0 to 1.
        expected: The predicted part; None while it changes.
        strays: Answers of the version that should give none.
        spare: How many of those are allowed.
    """

    name: str
    requests: int
    failed: int
    wrong: int
    share: float
    expected: float | None
    strays: int
    spare: int

    @property
    def finding(self) -> Finding:
        """The finding on a step that should lose nothing."""
        if self.failed:
            return failure("a POST failed")
        if self.wrong:
            return failure("a POST did not create its user exactly once")
        return self.of_versions

    @property
    def of_versions(self) -> Finding:
        """The finding on the version that should serve the step alone."""
        if self.strays > self.spare:
            return failure("the other version answered, too")
        if self.expected is not None and self.requests < ENOUGH:
            return doubt("too few requests")
        return SETTLED

    @property
    def details(self) -> dict[str, Any]:
        """The counts, for a verdict's details."""
        return asdict(self)


def count_steps(attempt: pd.DataFrame, prediction: pd.DataFrame) -> list[Step]:
    """Return the counts of each predicted step.

    Args:
        attempt: One attempt's `Posts.samples`.
        prediction: A table with the columns `step`, `share` (of version 2 among the answers, 0 to
            1) and `changing` (whether the share changes in this step; the step then has a row for
            each of its stages).
    """
    return [
        _count_step(str(name), attempt, stages)
        for name, stages in prediction.groupby("step", sort=False)
    ]


def _count_step(name: str, attempt: pd.DataFrame, stages: pd.DataFrame) -> Step:
    requests = attempt[attempt["step"] == name]
    wrong = (requests["created"] > 1) | (requests["ok"] & (requests["created"] == 0))
    expected = None if stages["changing"].any() else float(stages["share"].iloc[0])
    alone = {0.0: "1", 1.0: "2"}.get(-1.0 if expected is None else expected)
    return Step(
        name=name,
        requests=len(requests),
        failed=int((~requests["ok"]).sum()),
        wrong=int(wrong.sum()),
        share=float((requests["version"] == "2").mean()) if len(requests) else math.nan,
        expected=expected,
        strays=int((requests["version"] != alone).sum()) if alone else 0,
        spare=_spare(attempt, name),
    )


def _spare(attempt: pd.DataFrame, step: str) -> int:
    """Return how many connections to nginx were idle when the change before this step reached it.

    nginx's old worker, which still has the configuration of before the change, keeps them until
    each has carried one more request (keepalive_min_timeout: to close them would lose requests).
    There are as many as there were requests at once before, less those that were under way then.
    """
    here = attempt["step"] == step
    if here.iloc[0] or not here.any():
        return 0
    began = np.sort(attempt["sent"])
    ended = np.sort(attempt["intended"] + attempt["latency"])
    so_far = np.arange(1, len(began) + 1)
    at_once = so_far - np.searchsorted(ended, began)
    under_way = so_far - np.searchsorted(ended - EDGE, began)
    first = int(here.to_numpy().argmax())
    change = attempt["step"].to_numpy() == attempt["step"].iloc[first - 1]
    return int(at_once[:first].max() - under_way[change].min())
