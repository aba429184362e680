"""Phase 3's verdicts against releases that lose requests, or decide wrongly, live."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from environment import Environment
from labs.experiment import until_conclusive
from labs.experiments.phase3 import blue_green, canary, rolling_replacement, sampling_plan
from labs.verdicts import Outcome, Verdict
from tests.mutants.balancer import Forgetful
from tests.mutants.descriptions import mutated

pytestmark = pytest.mark.timeout(300)

SYSTEM: dict[str, Any] = {
    "runtime": "process",
    "only": ["user-service", "api-gateway", "nginx"],
    "settings": {"user-service": {"USER_SECONDS": 0.5}},
    "replicas": {"user-service": 2},
}


@pytest.fixture(scope="module")
def env() -> Iterator[Forgetful]:
    with Forgetful("phase3", **SYSTEM) as environment:
        yield environment


@pytest.fixture(autouse=True)
def _remembers_all(env: Forgetful) -> None:
    env.instead = {}


def judged_rolling(env: Environment) -> Verdict:
    prediction = rolling_replacement.predict(replicas=2)
    samples = until_conclusive(rolling_replacement, prediction, env, replicas=2)
    return rolling_replacement.judge(samples, prediction)


def judged_blue_green(env: Environment) -> Verdict:
    prediction = blue_green.predict()
    samples = until_conclusive(blue_green, prediction, env, replicas=1)
    return blue_green.judge(samples, prediction)


def judged_canary(env: Environment, rates: Mapping[str, float] = canary.RATES) -> Verdict:
    releases: dict[str, Any] = {"rates": rates, "weights": (4, 1)}
    prediction = canary.predict(**releases)
    samples = until_conclusive(canary, prediction, env, **releases)
    return canary.judge(samples, prediction)


def test_a_service_that_ends_without_draining_is_seen_to_fail(tmp_path: Path) -> None:
    command = ["python", "-m", "tests.mutants.no_drain", "${USER_SERVICE_VERSION:-1}"]
    description = mutated(tmp_path, {"user-service": {"command": command}})
    with Environment("phase3", description=description, **SYSTEM) as wrong:
        verdict = judged_rolling(wrong)
    assert verdict.outcome is Outcome.FAIL
    assert "rolling: a POST failed" in verdict.reasons


def test_a_balancer_without_standby_replicas_is_seen_to_fail(env: Forgetful) -> None:
    env.instead = {"weights": ()}
    verdict = judged_blue_green(env)
    assert verdict.outcome is Outcome.FAIL
    assert "blue: the other version answered, too" in verdict.reasons


def test_a_lab_that_promotes_every_version_is_seen_to_fail(
    env: Forgetful, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary, "decide", lambda *_: sampling_plan.PROMOTED)
    verdict = judged_canary(env, {"bad": 0.5})
    assert verdict.outcome is Outcome.FAIL
    assert "bad: promoted, against the plan" in verdict.reasons
