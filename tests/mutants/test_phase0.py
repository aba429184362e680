"""Phase 0's verdict on a wrong system, live: the mutant is started, and must be judged to fail."""

from pathlib import Path

import pytest

from environment import Environment
from labs.experiment import until_conclusive
from labs.experiments.phase0 import independence
from labs.verdicts import Outcome, Verdict
from tests.mutants.descriptions import mutated

pytestmark = pytest.mark.timeout(120)

SETTINGS = {"payment-service": {"PAYMENT_SECONDS": 0.1}}
PREDICTION = independence.predict(
    "payment-service", calls={"POST /orders": ["payment-service"]}, work_seconds=0.1
)


def judged(env: Environment) -> Verdict:
    """Measure and judge as the lab's own cells do."""
    samples = until_conclusive(independence, PREDICTION, env, seconds=8)
    return independence.judge(samples, PREDICTION)


@pytest.mark.core
def test_three_services_in_one_process_are_not_independent(tmp_path: Path) -> None:
    together = ["python", "-m", "tests.mutants.one_process"]
    addresses = {
        "USER_SERVICE_URL": "http://user-service:3001",
        "ORDER_SERVICE_URL": "http://order-service:3002",
        "PAYMENT_SERVICE_URL": "http://payment-service:3003",
    }
    path = mutated(
        tmp_path,
        {
            "user-service": {"command": together},
            "order-service": {"command": together, "environment": {}},
            "payment-service": {"command": together, "environment": addresses},
        },
    )
    with Environment("phase0", runtime="process", settings=SETTINGS, description=path) as env:
        verdict = judged(env)
    assert verdict.outcome is Outcome.FAIL
    assert any("GET /users" in reason for reason in verdict.reasons)
