"""Autoscaling's verdict against a loop that is not the HorizontalPodAutoscaler's, live."""

from collections.abc import Iterator, Sequence

import pytest

from environment import Environment
from labs.experiments.phase3 import autoscaling, scaling_loop
from labs.verdicts import Outcome

pytestmark = pytest.mark.timeout(180)

PREDICTION = autoscaling.predict(swings=1, window=2)


@pytest.fixture(scope="module")
def env() -> Iterator[Environment]:
    with Environment("phase3", runtime="process") as environment:
        yield environment


def without_memory(recommendations: Sequence[int], window: int) -> int:
    return recommendations[-1]


def test_a_loop_that_forgets_its_window_is_seen_to_fail(
    env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(scaling_loop, "stabilised", without_memory)
        samples = autoscaling.measure(env)
    verdict = autoscaling.judge(samples, PREDICTION)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"{autoscaling.WITH}: a step was not the formula's",)
