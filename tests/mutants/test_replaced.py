"""Mechanisms that a student writes, in the real service: the lab's own experiment accepts the reference and no twin.

The reference answer of each mechanism and its wrong twins are sources in `tests/mutants/replaced/ID/`. Twins that an
experiment cannot see are in `tests/labs/grading/test_mechanisms.py` alone.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from environment import Environment
from labs.mechanisms import every_mechanism
from labs.verdicts import Outcome, Verdict
from tests.mutants.mechanisms import function, reference, source, twins
from tests.mutants.shop import STOCK, VERSIONS

pytestmark = pytest.mark.timeout(180)

SYSTEMS: dict[str, dict[str, Any]] = {
    "phase0": {"only": ["payment-service"]},
    "phase1": {
        "only": ["api-gateway", "payment-service"],
        "settings": {"payment-service": {"PAYMENT_SECONDS": 0}},
    },
    "phase2": {"only": ["nginx", "valkey", "api-gateway"]},
    "phase3": {"only": ["nginx", "api-gateway"]},
    "phase4": {"only": ["kafka", "order-service", "payment-service"]},
    "phase5": {"only": ["kafka", *VERSIONS], "settings": STOCK},
}
"""What a phase's mechanisms need of its system; the whole of it when a phase is not here."""

SOURCES = [
    (id, twin, why)
    for id in every_mechanism()
    for twin, why in [("reference", None), *((twin, live) for twin, (live, _) in twins(id).items())]
    if why or twin == "reference"
]

System = Callable[[str], Environment]


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    """The running system of a phase; that of another phase ends. (A fixture with parameters starts for each test.)"""
    running: dict[str, Environment] = {}
    with ExitStack() as stack:

        def of(phase: str) -> Environment:
            if phase not in running:
                running.clear()
                stack.close()
                given = Environment(phase, runtime="process", **SYSTEMS.get(phase, {}))
                running[phase] = stack.enter_context(given)
            return running[phase]

        yield of


def judged(env: Environment, id: str, written: str) -> Verdict:
    mechanism = every_mechanism()[id]
    if mechanism.service is None:
        return mechanism.judge(env, function(id, written))
    with env[mechanism.service].replaced(mechanism.target, written):
        return mechanism.judge(env)


@pytest.mark.parametrize(
    ("id", "twin", "why"), SOURCES, ids=[f"{id}-{twin}" for id, twin, _ in SOURCES]
)
def test_an_experiment_accepts_the_reference_and_no_wrong_twin(
    system: System, id: str, twin: str, why: str | None
) -> None:
    written = source(id, twin) if why else reference(id)
    verdict = judged(system(f"phase{id[1]}"), id, written)
    if why is None:
        assert verdict.outcome is Outcome.PASS, verdict.reasons
    else:
        assert verdict.outcome is Outcome.FAIL
        assert any(why in reason for reason in verdict.reasons), verdict.reasons
