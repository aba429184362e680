"""The checker finds every wrong design by a shortest way, and the real tables break nothing."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace

import pytest

from microservices.checker.__main__ import main
from microservices.checker.follow import follow
from microservices.checker.model import ORCHESTRATION, TABLES, Model
from microservices.checker.mutants import (
    FORWARD,
    MUTANTS,
    RETRIABLE,
    changed,
    given_up,
    without,
)
from microservices.checker.properties import (
    ENDED,
    MONEY,
    NO_CONTRADICTION,
    NO_GIFT,
    ONE_CHARGE,
    ONE_END,
    SHELF,
    STOCK,
)
from microservices.checker.search import check
from microservices.inventory_service import v2 as inventory
from microservices.kit.saga import Contradiction, Step, decide
from microservices.payment_service import v4 as payment
from tests.microservices.conftest import OwnTable

NINE_ENDS = {
    "all well: completed/settled/sold",
    "all well: cancelled/barred/barred",
    "all well: cancelled/refunded/barred",
    "all well: cancelled/refunded/released",
    "payment fails: cancelled/failed/barred",
    "payment fails: cancelled/barred/barred",
    "inventory fails: cancelled/refunded/failed",
    "inventory fails: cancelled/refunded/barred",
    "inventory fails: cancelled/barred/barred",
}

CHARGED_AFTER_THE_CANCEL = [
    "publish OrderCreated",
    "deadline",
    "publish OrderCancelled",
    "payment reads OrderCancelled",
    "payment reads OrderCreated",
    "publish PaymentCompleted",
    "inventory reads OrderCancelled",
    "inventory reads PaymentCompleted",
]

FOUND: dict[str, dict[str, int | None]] = {
    "no-tombstone-payment": {MONEY: 8},
    "no-tombstone-inventory": {STOCK: 11, SHELF: None},
    "no-refund": {MONEY: 8},
    "refund-twice": {NO_GIFT: 11},
    "refund-on-inventory-failed-only": {MONEY: 8},
    "charge-each-delivery": {ONE_CHARGE: 3},
    "late-success-completes": {ONE_END: 7},
    "no-release": {STOCK: 11},
    "never-sold": {STOCK: 9},
    "no-outbox": {MONEY: 8, STOCK: 7},
    "offset-before-effect": {MONEY: 8, STOCK: 9},
    "no-sweeper": {ENDED: 2},
    "mixed-versions": {NO_CONTRADICTION: 6},
    "reserve-again": {SHELF: 5},
    "release-unasked": {SHELF: 4},
}
"""The properties that each mutant breaks, and the length of the shortest way; None where the property holds."""


def test_the_real_tables_reach_nine_ends() -> None:
    """State counts are pinned: a changed table changes this number."""
    result = check(Model())
    assert not result.violations
    assert (result.states, result.edges) == (158, 298)
    assert set(result.to_json()["ends"]) == NINE_ENDS


def test_without_a_deadline_there_are_three_ends() -> None:
    result = check(Model(sweeper=False))
    assert (result.states, len(result.ends), result.violations) == (45, 3, {})


def test_two_duplicates_of_anything_change_nothing() -> None:
    result = check(Model(duplicates=2))
    assert (result.states, len(result.ends), result.violations) == (444, 9, {})


def test_two_orders_share_the_last_item_in_time() -> None:
    result = check(Model(orders=2))
    assert not result.violations
    assert result.states == 18_455
    sold = [sum(saga[3] == "sold" for saga in end) for end in result.ends]
    assert max(sold) == 1


def test_every_mutant_is_listed_here() -> None:
    assert set(FOUND) == {name for name, mutant in MUTANTS.items() if not mutant.equivalent}


@pytest.mark.parametrize("name", FOUND)
def test_a_mutant_is_found_by_a_shortest_way(name: str) -> None:
    violations = check(MUTANTS[name].model()).violations
    for broken, steps in FOUND[name].items():
        assert (len(violations[broken]) if broken in violations else None) == steps


@pytest.mark.parametrize("name", ["refund-on-cancel-only", "no-inbox"])
def test_an_equivalent_design_is_not_reported(name: str) -> None:
    assert MUTANTS[name].equivalent
    assert not check(MUTANTS[name].model()).violations


def test_the_shortest_way_to_a_late_charge() -> None:
    violations = check(MUTANTS["no-tombstone-payment"].model()).violations
    assert violations[MONEY] == CHARGED_AFTER_THE_CANCEL


def test_one_cell_left_out_is_enough() -> None:
    model = without(("payment", "none", "OrderCancelled"))
    assert check(model).violations[MONEY] == CHARGED_AFTER_THE_CANCEL


@pytest.mark.parametrize("reading", sorted(FORWARD))
def test_a_forward_step_may_be_given_up(reading: tuple[str, str]) -> None:
    assert not check(given_up([reading])).violations


@pytest.mark.parametrize(
    ("reading", "broken", "steps"),
    [
        (("payment", "OrderCancelled"), MONEY, 8),
        (("inventory", "OrderCancelled"), STOCK, 11),
        (("inventory", "OrderConfirmed"), STOCK, 9),
    ],
)
def test_a_compensation_may_not_be_given_up(
    reading: tuple[str, str], broken: str, steps: int
) -> None:
    assert reading in RETRIABLE
    assert len(check(given_up([reading])).violations[broken]) == steps


def test_every_reading_is_forward_or_retriable() -> None:
    """But that of a settled payment, which loses nothing."""
    assert set(Model().readings) == FORWARD | RETRIABLE | {("payment", "OrderConfirmed")}
    assert not check(given_up([("payment", "OrderConfirmed")])).violations


ORCHESTRATED = Model(coordination=ORCHESTRATION)
COMPENSATIONS = {
    ("payment", "RefundRequested"),
    ("inventory", "ReleaseRequested"),
    ("inventory", "OrderConfirmed"),
}


def test_the_orchestrated_saga_breaks_nothing_and_has_eleven_ends() -> None:
    result = check(replace(ORCHESTRATED, duplicates=2))
    assert not result.violations
    assert len(result.ends) == 11
    assert not check(replace(ORCHESTRATED, orders=2)).violations


def test_an_orchestrator_needs_tombstones_and_a_deadline_too() -> None:
    for cell in (("payment", "none", "RefundRequested"), ("inventory", "none", "ReleaseRequested")):
        assert check(without(cell, model=ORCHESTRATED)).violations
    assert not check(replace(ORCHESTRATED, sweeper=False)).violations
    lost = replace(ORCHESTRATED, losses=1, lossy=frozenset({("payment", "ChargeRequested")}))
    assert ENDED in check(replace(lost, sweeper=False)).violations


@pytest.mark.parametrize("reading", ORCHESTRATED.readings)
def test_only_commands_that_compensate_and_confirmations_are_never_given_up(
    reading: tuple[str, str],
) -> None:
    lossy = replace(ORCHESTRATED, losses=1, lossy=frozenset({reading}))
    assert bool(check(lossy).violations) == (reading in COMPENSATIONS)
    kept = {("payment", kind.__name__) for kind in payment.NEVER_GIVEN_UP}
    kept |= {("inventory", kind.__name__) for kind in inventory.NEVER_GIVEN_UP}
    assert kept == COMPENSATIONS


@pytest.mark.parametrize(
    ("model", "broken"),
    [
        (replace(without(("order", "pending", "deadline")), losses=1, lossy=FORWARD), ENDED),
        (without(("payment", "owed", "refund")), MONEY),
        (
            replace(
                without(("order", "charging", "deadline"), model=ORCHESTRATED),
                losses=1,
                lossy=frozenset({("payment", "ChargeRequested")}),
            ),
            ENDED,
        ),
    ],
    ids=["deadline", "refund", "orchestrated deadline"],
)
def test_a_step_that_changes_nothing_is_no_way_on(model: Model, broken: str) -> None:
    """Without its cell the deadline or the refund may be tried for ever: the order stays where it is."""
    assert broken in check(model).violations


def test_a_deadline_passes_in_every_state_that_has_its_cell() -> None:
    """A design with a state of its own for a paid order ends it by the deadline, too."""
    table = TABLES["order"]
    paid = {("order", "paid", event): step for (_, event), step in table.items()}
    cells = changed({**paid, ("order", "pending", "PaymentCompleted"): Step("paid")})
    model = Model(changed=cells, losses=1, lossy=FORWARD)
    assert not check(model).violations
    without_it = without(("order", "paid", "deadline"), model=model)
    assert set(check(without_it).violations) == {ENDED}


def test_a_changed_cell_changes_the_checker(tables: Mapping[str, OwnTable]) -> None:
    """The checker walks the services' own tables, not a copy of them."""
    del tables["payment"]["charged", "OrderCancelled"]
    assert MONEY in check(Model()).violations


def test_a_contradiction_is_raised_and_an_empty_cell_changes_nothing() -> None:
    with pytest.raises(Contradiction, match="OrderConfirmed"):
        decide(TABLES["payment"], "none", "OrderConfirmed")
    assert decide(TABLES["order"], "cancelled", "PaymentFailed") == Step("cancelled")
    assert decide(TABLES["payment"], "none", "OrderCreated", fails=True).to == "failed"


def test_the_command_prints_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--mutant", "charge-each-delivery", "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) == {"states", "ends", "violations", "seconds"}
    assert printed["violations"][0]["property"] == ONE_CHARGE
    assert len(printed["violations"][0]["trace"]) == 3


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], 0),
        (["--dead-letter", "payment-service/order-cancelled"], 1),
        (["--dead-letter", "payment/OrderCreated"], 0),
        (["--without", "payment/none/OrderCancelled"], 1),
        (["--coordination", "orchestration"], 0),
        (["--coordination", "orchestration", "--without", "payment/none/RefundRequested"], 1),
        (["--list"], 0),
    ],
)
def test_the_exit_code_says_whether_something_is_broken(words: list[str], code: int) -> None:
    assert main(words) == code


@pytest.mark.parametrize(
    "words",
    [
        ["--orders", "9"],
        ["--duplicates", "-1"],
        ["--mutant", "nothing"],
        ["--dead-letter", "payment/OrderShipped"],
        ["--without", "payment/none"],
        ["--coordination", "orchestration", "--mutant", "no-refund"],
    ],
)
def test_nonsense_gets_a_sentence(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_it_runs_as_a_module_without_the_services() -> None:
    """A lab calls it as a command; no web framework and no database is imported for it."""
    script = (
        "import sys, microservices.checker.__main__ as m; m.main([]); print(sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert not {"fastapi", "sqlalchemy", "confluent_kafka"} & set(
        done.stdout.replace("'", " ").replace(",", " ").split()
    )


TRACE = "publish OrderCreated > deadline > publish PaymentCompleted"


def test_a_trace_is_followed_and_impossible_actions_change_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--follow", TRACE, "--json"]) == 0
    steps = json.loads(capsys.readouterr().out)["steps"]
    assert [step["possible"] for step in steps] == [True, True, False]
    assert [step["order"] for step in steps] == ["pending", "cancelled", "cancelled"]


def test_the_counter_example_of_a_mutant_is_followed_to_its_wrong_state() -> None:
    mutant = MUTANTS["no-tombstone-payment"].model()
    trace = min(check(mutant).violations.values(), key=len)
    wrong, right = follow(mutant, trace)[-1], follow(Model(), trace)[-1]
    assert wrong[2:] == ("cancelled", "charged", "barred")
    assert right[2:] == ("cancelled", "barred", "barred")
