"""Phase 5's verdicts against wrong participants of the saga, live, all beside one broker."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from environment import Environment
from labs.experiment import until_conclusive
from labs.experiments.phase5 import coordination, engine, interleavings, trace_replay
from labs.experiments.phase5.rest import wait_for_quiet
from labs.verdicts import Outcome
from tests.mutants.chosen import NONE
from tests.mutants.descriptions import mutated
from tests.mutants.shop import STOCK, shop
from tests.mutants.wrong import Wrong, assert_it_fails

pytestmark = pytest.mark.timeout(300)

ORCHESTRATED = {"order-service": 4, "payment-service": 4, "inventory-service": 2}

ORDERS = {"orders": 60, "replicas": (1,)}

MUTANTS = {
    "coin_of_each_delivery": Wrong(
        "payment-service",
        "outcomes",
        "1 replica, completed: orders ended otherwise than the coin says",
        {**ORDERS, "user": "tossed"},
        {**ORDERS, "user": "tossed"},
    ),
    "coin_of_the_process": Wrong(
        "payment-service",
        "outcomes",
        "1 replica, completed: orders ended otherwise than the coin says",
        {**ORDERS, "user": "hashed"},
        {**ORDERS, "user": "hashed"},
    ),
    "refund_gives_up": Wrong(
        "payment-service",
        "refunds",
        "5 attempts: orders were never refunded",
        {},
        {},
        {"SLACK_SECONDS": 5},
    ),
    "no_sweeper": Wrong(
        "order-service",
        "deadline",
        "payment-service is away: orders were not cancelled at their deadline",
        {"silent": ["payment-service"]},
        {"silent": ["payment-service"]},
    ),
    "sweeper_without_grace": Wrong(
        "order-service",
        "deadline",
        "order-service is away: orders were cancelled whose answers waited",
        {"silent": ["order-service"], "timeout": 5},
        {"silent": ["order-service"], "timeout": 5},
    ),
    "new_correlation_id": Wrong(
        "payment-service",
        "story",
        "completed: the events of an order have several correlation ids",
        {},
        {},
    ),
    # From here on: their wrong entries stay in the ledger.
    "no_refund": Wrong(
        "payment-service",
        "money",
        "orders whose net amount is wrong: not zero",
        {},
        {"orders": 200, "user": "kept"},
    ),
    "refund_twice": Wrong(
        "payment-service",
        "money",
        "orders whose net amount is wrong: more was refunded than charged",
        {},
        {"orders": 60, "user": "twice"},
    ),
    "no_tombstone_payment": Wrong(
        "payment-service",
        "compensation_first",
        "payment-service: acted on an order that it had read to be cancelled",
        {},
        {},
    ),
    "compensation_given_up": Wrong(
        "payment-service",
        "give_up",
        "payment/OrderCancelled: it was given up, and nothing else repairs what it left undone",
        {"readings": ["payment/OrderCancelled"]},
        {"readings": ["payment/OrderCancelled"]},
    ),
    # Last: what these reserve is never released, so that the system never comes to rest again.
    "no_tombstone_inventory": Wrong(
        "inventory-service",
        "compensation_first",
        "inventory-service: acted on an order that it had read to be cancelled",
        {},
        {},
    ),
    "offset_before_effect": Wrong(
        "inventory-service",
        "crash_anywhere",
        "inventory, OrderConfirmed: begun: an order ended in a way that the model excludes",
        {"kills": ["inventory, OrderConfirmed: begun"]},
        {"kills": ["inventory, OrderConfirmed: begun"]},
    ),
    "no_outbox": Wrong(
        "order-service",
        "crash_anywhere",
        "order, InventoryReserved: committed: an order ended in a way that the model excludes",
        {"kills": ["order, InventoryReserved: committed"]},
        {"kills": ["order, InventoryReserved: committed"]},
    ),
}

WINDOWS = {
    "idle_by_clock": Wrong(
        "analytics-service",
        "windows",
        "late events that were published in time: events were late that were published in time",
        {},
        {"seconds": 9},
    ),
    "every_partition": Wrong(
        "analytics-service",
        "windows",
        "seconds from the watermark to the newest event less the lateness: the watermark has not passed what was read",
        {},
        {"seconds": 3.5},
        {"PASS_SECONDS": 4},
    ),
    # Last: its wrong sums stay in the view.
    "processing_time": Wrong(
        "analytics-service",
        "windows",
        "windows that differ from the log now: windows have other sums than the log",
        {},
        {"seconds": 5},
    ),
    "processing_time, built again": Wrong(
        "analytics-service",
        "lambda_kappa",
        "windows in which Kappa differs from the batch: another number than predicted",
        {},
        {},
    ),
}

MUTANTS = WINDOWS | MUTANTS  # before those whose wrong entries keep the system from rest

QUICKEST = "no_refund"


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    with shop(tmp_path_factory.mktemp("phase5")) as environment:
        yield environment


def test_a_wrong_design_takes_the_steps_of_its_counter_example(env: Environment) -> None:
    prediction = trace_replay.predict(design="no-tombstone-payment")
    env.configure("payment-service", MUTANT="no_tombstone_payment")
    try:
        samples = trace_replay.measure(env)
    finally:
        env.configure("payment-service", MUTANT=NONE)
    assert samples["states"].tolist()[:-1] == prediction["wrong"].tolist()
    assert samples["states"].iloc[-1] == "cancelled/charged/barred"
    verdict = trace_replay.judge(samples, prediction)
    assert verdict.outcome is Outcome.FAIL
    wrong = "the states are not those of the model"
    assert verdict.reasons[0] == f"step 4, payment reads OrderCancelled: {wrong}"
    assert "at rest: the order ended in a way the model excludes" in verdict.reasons


ORCHESTRATORS = ("reserves_before_it_is_paid", "forgetful_orchestrator")


@pytest.mark.parametrize("mutant", ORCHESTRATORS)
def test_a_wrong_orchestrator_fails(
    mutant: str, env: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordination, "wait_for_rest", wait_for_quiet)  # it leaves items reserved
    command = ["python", "-m", f"tests.mutants.{mutant}", "4"]
    path = mutated(tmp_path, {"order-service": {"command": command}})
    twins = {service: n for service, n in ORCHESTRATED.items() if service != "order-service"}
    with Environment(
        "phase5",
        runtime="process",
        only=("kafka", *ORCHESTRATED),
        versions=twins,
        settings=STOCK | {"order-service": {"SAGA_TIMEOUT_SECONDS": 5}},
        description=path,
    ) as twin:
        samples = coordination.measure(env, twin, orders=20, away=10)
    verdict = coordination.judge(samples, coordination.predict())
    assert verdict.outcome is Outcome.FAIL
    assert "orchestration, completed: an order took another number of messages" in verdict.reasons


@pytest.mark.parametrize(
    "mutant",
    [pytest.param(name, marks=[pytest.mark.core] if name == QUICKEST else []) for name in MUTANTS],
)
def test_a_wrong_participant_fails(mutant: str, env: Environment) -> None:
    assert_it_fails(mutant.partition(",")[0], MUTANTS[mutant], env)


def test_a_checker_that_leaves_out_late_deadlines_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "tests.mutants.checker_in_order"]
    monkeypatch.setattr(interleavings, "COMMAND", command)
    env: Any = SimpleNamespace(runtime="process")
    prediction = interleavings.predict()
    verdict = interleavings.judge(interleavings.measure(env), prediction)
    assert verdict.outcome is Outcome.FAIL
    assert "no-tombstone-payment: nothing wrong was found" in verdict.reasons


@pytest.mark.parametrize(
    ("mutant", "case", "because"),
    [
        (
            "no-tombstone-payment",
            "the charge arrives late",
            "the order was cancelled and charged",
        ),
        ("charge-each-delivery", "the worker is killed", "the order was charged twice"),
    ],
)
def test_a_wrong_participant_fails_on_an_engine_too(
    mutant: str, case: str, because: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PARTICIPANTS", [*engine.PARTICIPANTS, "--mutant", mutant])
    env: Any = None
    prediction = engine.predict(cases=[case])
    verdict = engine.judge(until_conclusive(engine, prediction, env, cases=[case]), prediction)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"{case}: {because}",)
