"""Mechanisms that a student writes, in the real service: the lab's own experiment accepts the reference and no twin.

The reference answer of each mechanism and its wrong twins are sources in `tests/mutants/replaced/ID/`. Twins that an
experiment cannot see are in `tests/labs/grading/test_mechanisms.py` alone.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from environment import Environment
from labs.mechanisms import every_mechanism
from labs.verdicts import Outcome
from tests.mutants.mechanisms import reference, source, twins

pytestmark = pytest.mark.timeout(180)

SYSTEMS: dict[str, dict[str, Any]] = {
    "phase0": {"only": ["payment-service"]},
    "phase1": {
        "only": ["api-gateway", "payment-service"],
        "settings": {"payment-service": {"PAYMENT_SECONDS": 0}},
    },
}
"""What a phase's mechanisms need of its system; the whole of it when a phase is not here."""

SOURCES = [
    (f"phase{id[1]}", id, twin, why)
    for id in every_mechanism()
    for twin, why in [("reference", None), *((twin, live) for twin, (live, _) in twins(id).items())]
    if why or twin == "reference"
]


@pytest.fixture(scope="module")
def env(request: pytest.FixtureRequest) -> Iterator[Environment]:
    phase = request.param
    with Environment(phase, runtime="process", **SYSTEMS.get(phase, {})) as started:
        yield started


@pytest.mark.parametrize(
    ("env", "id", "twin", "why"),
    SOURCES,
    indirect=["env"],
    ids=[f"{id}-{twin}" for _, id, twin, _ in SOURCES],
)
def test_an_experiment_accepts_the_reference_and_no_wrong_twin(
    env: Environment, id: str, twin: str, why: str | None
) -> None:
    mechanism = every_mechanism()[id]
    written = source(id, twin) if why else reference(id)
    with env[mechanism.service].replaced(mechanism.target, written):
        verdict = mechanism.judge(env)
    if why is None:
        assert verdict.outcome is Outcome.PASS, verdict.reasons
    else:
        assert verdict.outcome is Outcome.FAIL
        assert any(why in reason for reason in verdict.reasons), verdict.reasons
