"""`lab audit`, `lab saga` and `lab check`; tests/environment/test_saga.py runs the first two on a real system."""

import json
import re
import shlex
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
import typer

from environment import Environment
from environment.compose import ROOT
from labs.cli import kafka, saga
from labs.experiments.phase5.names import ANALYTICS, NOTIFICATIONS, PARTICIPANTS, group_of
from microservices.checker import __main__ as checker
from tests.labs.cli.command import Lab, run_lab

CHAPTER = ROOT / "handbook" / "phase5_saga.md"
KAFKA_CHAPTER = ROOT / "handbook" / "phase4_kafka_commands.md"


@pytest.fixture
def lab(capsys: pytest.CaptureFixture[str]) -> Lab:
    return lambda *words: run_lab(capsys, *words)


def test_the_saga_is_checked_without_a_session(lab: Lab) -> None:
    printed = lab("check")
    assert printed.code == 0
    assert printed.out.splitlines()[0].split() == [
        "states",
        "ends",
        "broken",
        "properties",
        "seconds",
    ]
    assert re.search(r"^all well +completed +settled +sold$", printed.out, re.MULTILINE)
    assert printed.out.rstrip().endswith("Every property holds.")


def test_a_wrong_design_is_shown_by_its_shortest_way(lab: Lab) -> None:
    printed = lab("check", "--mutant", "no-tombstone-payment")
    assert printed.code == 1
    assert "The shortest way, to: " in printed.out
    assert [line.strip() for line in printed.out.splitlines() if re.match(r" +\d+\. ", line)] == [
        "1. publish OrderCreated",
        "2. deadline",
        "3. publish OrderCancelled",
        "4. payment reads OrderCancelled",
        "5. payment reads OrderCreated",
        "6. publish PaymentCompleted",
        "7. inventory reads OrderCancelled",
        "8. inventory reads PaymentCompleted",
    ]


def test_json_and_the_list_of_mutants_are_the_checkers_own(lab: Lab) -> None:
    printed = json.loads(lab("check", "--without", "payment/none/OrderCancelled", "--json").out)
    assert set(printed) == {"states", "ends", "violations", "seconds"}
    assert "no-tombstone-payment" in lab("check", "--list").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--mutant", "none-such"], "no mutant 'none-such'; there are: no-tombstone-payment"),
        (["--orders", "9"], "--orders is 1 to 3, not 9"),
        (["--orders", "many"], "invalid int value: 'many'"),
        (["--dead-letter", "payment/Nothing"], "names no event that a service consumes"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_what_the_checker_refuses_is_explained(lab: Lab, words: list[str], message: str) -> None:
    printed = lab("check", *words)
    assert printed.code == 2
    assert printed.err.startswith("error: The checker refuses this: ")
    assert message in printed.err


def audit_of(*verdicts: str, books: tuple[str, ...] = ()) -> Callable[[Any], pd.DataFrame]:
    rows = [
        {
            "order": f"o-{number}\x1b",
            "status": "cancelled",
            "total": 1999,
            "charged": 0,
            "refunded": 0,
            "stock": "",
            "contradicts": verdict.startswith("contradiction"),
            "verdict": verdict,
        }
        for number, verdict in enumerate(verdicts)
    ]
    frame = pd.DataFrame(rows)
    frame.attrs["books"] = list(books)
    return lambda _: frame


@pytest.fixture
def attached(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(Environment, "attach", lambda _=None: None)
    return monkeypatch


def test_an_order_that_contradicts_stands_last_and_exits_1(
    attached: pytest.MonkeyPatch, lab: Lab
) -> None:
    attached.setattr("labs.audit.audit", audit_of("contradiction: charged 2 times", "right"))
    printed = lab("audit")
    assert printed.code == 1
    *rows, _, summary = printed.out.splitlines()
    assert rows[-1].split() == [
        *("o-0\\x1b", "cancelled", "19.99", "0.00", "0.00"),
        *("contradiction:", "charged", "2", "times"),
    ]
    assert summary == "2 orders, 1 contradiction, 1 right"
    rows = json.loads(lab("audit", "--json").out)
    assert [row["contradicts"] for row in rows] == [True, False]


def test_books_that_do_not_add_up_exit_1(attached: pytest.MonkeyPatch, lab: Lab) -> None:
    attached.setattr("labs.audit.audit", audit_of("right", books=("nothing adds up",)))
    printed = lab("audit")
    assert printed.code == 1
    assert printed.err.strip() == "contradiction: nothing adds up"


def test_orders_under_way_are_no_contradiction(attached: pytest.MonkeyPatch, lab: Lab) -> None:
    attached.setattr("labs.audit.audit", audit_of("under way: pending for 3 s"))
    assert lab("audit").code == 0


def test_a_session_without_a_saga_is_explained(attached: pytest.MonkeyPatch, lab: Lab) -> None:
    shop = type("Shop", (), {"services": ["kafka", "order-service", "payment-service"]})
    attached.setattr(Environment, "attach", lambda _=None: shop)
    printed = lab("audit")
    assert printed.code == 2
    assert "this session has no inventory-service" in printed.err


def test_the_chapter_names_every_command() -> None:
    names = [command.name or command.callback.__name__ for command in saga.app.registered_commands]  # type: ignore[union-attr]
    for name in names:
        assert f"`lab {name}" in CHAPTER.read_text()


def test_the_kafka_chapters_lines_for_a_saga_fit_the_services() -> None:
    """Only a session of phase 5 can run them, so their commands, topics and groups are compared with the code."""
    text = KAFKA_CHAPTER.read_text()
    lines = re.findall(r"^    lab kafka (.+)$", text, re.MULTILINE)
    commands = typer.main.get_command(kafka.app).commands  # type: ignore[attr-defined]
    known = set(topics()) | groups()
    assert len(lines) >= 5
    for line in lines:
        command, *words = line.split()
        parsed = commands[command].make_context(command, words).params
        named = {parsed.get("topic"), parsed.get("group")} - {None}
        assert named <= known, line
    assert groups() == set(
        re.findall(r"`([\w-]+-group)`", text.partition("## The topics of a saga")[2])
    )


@pytest.mark.parametrize("chapter", ["phase5_checking_designs", "phase5_saga"])
def test_the_checkers_commands_in_a_chapter_run(
    chapter: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "handbook" / f"{chapter}.md").read_text()
    lines = re.findall(r"`(?:lab check|python -m microservices\.checker) ([^`]+)`", text)
    assert lines
    for line in lines:
        if "--help" not in line:
            assert checker.main(shlex.split(line)) in (0, 1), line
    assert capsys.readouterr().err == ""


def topics() -> list[str]:
    document = json.loads((ROOT / "handbook" / "events" / "asyncapi.json").read_text())
    return list(document["channels"])


def groups() -> set[str]:
    return {group_of(service) for service in (*PARTICIPANTS, ANALYTICS, NOTIFICATIONS)}


@pytest.mark.parametrize(
    ("words", "code", "shown"),
    [
        (["p5-1", "49"], 0, "p5-1: right."),
        (["p5-1", "20"], 1, "p5-1: not yet."),
        (["p0-1", "GET /users"], 0, "right"),
        (["p0-3", "6", "1.25"], 0, "right"),
        (["p1-2", '{"UPSTREAM_TIMEOUT_SECONDS": 1}'], 0, "right"),
        (["p1-1", "5"], 0, "right"),
        (["p1-1", "5", "--seed", "8"], 1, "not yet"),
        (["p1-1", "7", "--seed", "8"], 0, "right"),
    ],
)
def test_an_answer_is_checked(lab: Lab, words: list[str], code: int, shown: str) -> None:
    printed = lab("check", *words)
    assert printed.code == code
    assert shown in printed.out


def test_it_names_the_numbers_and_that_no_run_keeps_the_answer(lab: Lab) -> None:
    printed = lab("check", "p1-1", "7", "--seed", "8")
    assert printed.out == "p1-1: right.\n"
    assert "seed 8: limit=4, seconds=2" in printed.err
    assert "Not kept for the hand-in" in printed.err
    assert "seed" not in lab("check", "p1-3", "1", "1").err


def test_a_seed_is_not_for_the_checker(lab: Lab) -> None:
    assert "--seed is for exercises" in lab("check", "--seed", "8").err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["p5-1"], "Which answer?"),
        (["p5-1", "49", "--seed", "many"], "--seed"),
        (["p9-1", "1"], "There is no exercise 'p9-1'; there are: p0-1"),
        (["p5-1", "many"], "p5-1 asks for a number of orders; this is a text."),
    ],
)
def test_an_odd_answer_is_explained(lab: Lab, words: list[str], message: str) -> None:
    printed = lab("check", *words)
    assert printed.code != 0
    assert message in " ".join(printed.err.split())
