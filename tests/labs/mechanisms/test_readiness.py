"""The judge of a replica's readiness, on frames."""

import pandas as pd
import pytest

from labs.mechanisms.readiness import AWAY, BACK, HEALTHY, STOPPING, WRONG, judge
from labs.verdicts import Outcome

HONEST = {HEALTHY: (200, 200), AWAY: (503, 503), BACK: (200, 200), STOPPING: (503, 0)}
"""The status of `/ready`, and that of a request, in each part."""


def frame(**changed: tuple[int, int]) -> pd.DataFrame:
    rows = [
        {"part": part, "ready": ready, "works": works, "closing": part == STOPPING}
        for part, (ready, works) in (HONEST | changed).items()
        for _ in range(5)
    ]
    return pd.DataFrame(rows).assign(seconds=0.01, attempt=1)


def test_an_honest_replica_passes() -> None:
    assert judge(frame()).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("part", "statuses"),
    [(HEALTHY, (503, 200)), (AWAY, (200, 503)), (BACK, (503, 200)), (STOPPING, (200, 0))],
)
def test_a_lie_fails_in_its_part(part: str, statuses: tuple[int, int]) -> None:
    verdict = judge(frame(**{part: statuses}))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"{part}: {WRONG[part]}",)


def test_a_replica_that_is_never_ready_again_fails_without_a_shutdown() -> None:
    samples = frame(**{BACK: (503, 200)})
    verdict = judge(samples[samples["part"] != STOPPING])
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons[0] == f"{BACK}: {WRONG[BACK]}"


def test_one_lie_among_honest_answers_fails() -> None:
    samples = frame()
    samples.loc[samples.index[samples["part"] == AWAY][2], "ready"] = 200
    assert judge(samples).outcome is Outcome.FAIL


def test_an_error_of_the_probe_itself_fails() -> None:
    assert judge(frame(**{AWAY: (500, 503)})).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("part", "statuses"), [(HEALTHY, (200, 500)), (AWAY, (200, 200)), (BACK, (200, 503))]
)
def test_a_fault_that_did_not_hit_as_planned_is_inconclusive(
    part: str, statuses: tuple[int, int]
) -> None:
    assert judge(frame(**{part: statuses})).outcome is Outcome.INCONCLUSIVE


def test_too_few_probes_while_it_shut_down_are_inconclusive() -> None:
    samples = frame(**{STOPPING: (200, 0)})
    closing = samples.index[samples["closing"]]
    samples.loc[closing[2:], "closing"] = False
    assert judge(samples).outcome is Outcome.INCONCLUSIVE


def test_a_probe_before_the_shutdown_began_may_be_ready() -> None:
    samples = frame()
    first = samples.index[samples["part"] == STOPPING][0]
    samples.loc[first, ["ready", "closing"]] = [200, False]
    assert judge(samples).outcome is Outcome.PASS


def test_slow_probes_are_inconclusive() -> None:
    assert judge(frame().assign(seconds=2.0)).outcome is Outcome.INCONCLUSIVE
