"""Mechanisms that a student writes, in the real service: the lab's own experiment accepts the reference and no twin.

The reference answer of each mechanism and its wrong twins are sources in `tests/mutants/replaced/ID/`. Twins that an
experiment cannot see are in `tests/labs/grading/test_mechanisms.py` alone.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from environment import Environment
from labs.mechanisms import every_mechanism
from labs.verdicts import Outcome, Verdict
from tests.mutants.mechanisms import function, reference, source, twins

pytestmark = pytest.mark.timeout(180)

SYSTEMS: dict[str, dict[str, Any]] = {
    "phase0": {"only": ["payment-service"]},
    "phase1": {
        "only": ["api-gateway", "payment-service"],
        "settings": {"payment-service": {"PAYMENT_SECONDS": 0}},
    },
    "phase2": {"only": ["nginx", "valkey", "api-gateway"]},
    "phase3": {"only": ["nginx", "api-gateway"]},
}
"""What a phase's mechanisms need of its system; the whole of it when a phase is not here."""

SOURCES = [
    (f"phase{id[1]}", id, twin, why)
    for id in every_mechanism()
    for twin, why in [("reference", None), *((twin, live) for twin, (live, _) in twins(id).items())]
    if why or twin == "reference"
]


@pytest.fixture(scope="module")
def running() -> Iterator[dict[str, Environment]]:
    """The system that runs, by its phase."""
    systems: dict[str, Environment] = {}
    yield systems
    for system in systems.values():
        system.stop()


@pytest.fixture
def env(request: pytest.FixtureRequest, running: dict[str, Environment]) -> Environment:
    """The system of a phase, which its tests share; a fixture of the module with parameters starts anew for each."""
    phase = request.param
    if phase not in running:
        for other in list(running):
            running.pop(other).stop()
        running[phase] = Environment(phase, runtime="process", **SYSTEMS.get(phase, {})).start()
    return running[phase]


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
