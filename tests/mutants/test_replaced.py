"""Mechanisms that a student writes, in the real service: the lab's own experiment accepts the reference and no twin.

The reference answer of each mechanism and its wrong twins are sources in `tests/mutants/replaced/ID/`. Twins that an
experiment cannot see are in `tests/labs/grading/test_mechanisms.py` alone.
"""

from collections.abc import Iterator
from sys import intern
from typing import Any

import pytest

from environment import Environment
from labs.mechanisms import every_mechanism
from labs.verdicts import Outcome, Verdict
from tests.mutants.mechanisms import function, reference, source, twins

pytestmark = pytest.mark.timeout(180)

SYSTEMS: dict[str, dict[str, Any]] = {
    "phase1": {"only": ["api-gateway", "payment-service"]},
    "phase2": {"only": ["nginx", "valkey", "api-gateway"]},
    "phase3": {"only": ["nginx", "api-gateway"]},
}
"""What a phase's mechanisms need of its system; the whole of it when a phase is not here."""

# The same object for one phase: pytest sets a fixture up anew for another one, even if it is equal.
SOURCES = [
    (intern(f"phase{id[1]}"), id, twin, why)
    for id in every_mechanism()
    for twin, why in [("reference", None), *((twin, live) for twin, (live, _) in twins(id).items())]
    if why or twin == "reference"
]


@pytest.fixture(scope="module")
def env(request: pytest.FixtureRequest) -> Iterator[Environment]:
    phase = request.param
    with Environment(phase, runtime="process", **SYSTEMS.get(phase, {})) as started:
        yield started


def judged(env: Environment, id: str, written: str) -> Verdict:
    mechanism = every_mechanism()[id]
    if mechanism.service is None:
        return mechanism.judge(env, function(id, written))
    with env[mechanism.service].replaced(mechanism.target, written):
        return mechanism.judge(env)


@pytest.mark.parametrize(
    ("env", "id", "twin", "why"),
    SOURCES,
    indirect=["env"],
    ids=[f"{id}-{twin}" for _, id, twin, _ in SOURCES],
)
def test_an_experiment_accepts_the_reference_and_no_wrong_twin(
    env: Environment, id: str, twin: str, why: str | None
) -> None:
    verdict = judged(env, id, source(id, twin) if why else reference(id))
    if why is None:
        assert verdict.outcome is Outcome.PASS, verdict.reasons
    else:
        assert verdict.outcome is Outcome.FAIL
        assert any(why in reason for reason in verdict.reasons), verdict.reasons
