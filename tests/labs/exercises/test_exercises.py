"""Every exercise: its reference answer is right, the usual wrong ones are not, and odd ones get a sentence."""

import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from environment.errors import UnknownName
from labs.exercises import check, every_exercise, of
from labs.exercises.checking import Level, OddAnswer
from labs.running.notebooks import all_labs
from tests.labs.exercises.designs import cases as designs

RIGHT: dict[str, list[Any]] = {
    "p0-1": [["GET /users"], "GET /users", pd.Series(["GET /users"])],
    "p0-2": [0, np.int64(0)],
    "p0-3": [(6.0, 1.25), [1.25, 6.0]],
    "p0-4": designs.RIGHT["p0-4"],
    "p1-1": [5],
    "p1-2": [{"UPSTREAM_TIMEOUT_SECONDS": 1.02}],
    "p1-3": [(1, 1)],
    "p1-4": [2600, 2590.0],
    "p1-5": designs.RIGHT["p1-5"],
    "p2-1": [(4, 0.004), (8, 0.008)],
    "p2-2": [0, 0.0],
    "p2-3": [20],
    "p2-4": designs.RIGHT["p2-4"],
    "p3-1": [85],
    "p3-2": [1],
    "p3-3": [9],
    "p3-4": [0.263],
    "p3-5": designs.RIGHT["p3-5"],
    "p4-1": [[2, 3, 4, 5, 10], [1, 2, 3, 4, 5, 10]],
    "p4-2": [(10, 0), (8, 0)],
    "p4-3": [(1, 3), (1, 2)],
    "p4-4": designs.RIGHT["p4-4"],
    "p5-1": [49],
    "p5-2": [["PaymentCompleted"], "PaymentCompleted"],
    "p5-3": [44],
    "p5-4": designs.RIGHT["p5-4"],
}

WRONG: dict[str, list[tuple[Any, str]]] = {
    "p0-1": [
        (["GET /users", "POST /orders"], "lose nothing"),
        ([], "A row is missing"),
        (["users"], "no rows of the figure"),
    ],
    "p0-2": [(20, "under way"), (1, "under way")],
    "p0-3": [
        ((6.0, 1.5), "waiting overlaps"),
        ((6.0, 0.6), "Four cores cannot"),
        ((5.0, 1.25), "One by one"),
        ((6.0, 3.0), "whichever is more"),
    ],
    "p0-4": designs.WRONG["p0-4"],
    "p1-1": [(3, "moving window"), (6, "opens it"), (4, "as late as possible")],
    "p1-2": [({"RETRY_TRIES": 1}, "Another setting"), ({"UPSTREAM_TIMEOUT_SECONDS": 30}, "paused")],
    "p1-3": [((2, 2), "header"), ((1, 2), "charges"), ((0, 1), "wait")],
    "p1-4": [
        (6000, "without a budget"),
        (2000, "no retries"),
        (2400, "terms add"),
        (600, "retries alone"),
        (2500, "three terms"),
    ],
    "p1-5": designs.WRONG["p1-5"],
    "p2-1": [((3, 0.004), "smaller"), ((40, 0.004), "Fewer"), ((100, 0.004), "Fewer")],
    "p2-2": [(1 / 3, "take turns"), (33, "between 0 and 1"), (0.8, "under way")],
    "p2-3": [(5, "one memory"), (10, "Each worker"), (100, "its limit"), (17, "the most")],
    "p2-4": designs.WRONG["p2-4"],
    "p3-1": [(40, "gets more"), (200, "gets fewer")],
    "p3-2": [(2, "first three"), (0, "1 to 4")],
    "p3-3": [(3, "two seconds later"), (6, "the most"), (30, "each time")],
    "p3-4": [(1 / 3, "even arrivals"), (26, "between 0 and 1"), (0.2, "busy")],
    "p3-5": designs.WRONG["p3-5"],
    "p4-1": [([2, 5, 10], "divides ten"), ([2, 3, 4, 5, 6, 10], "as before"), ([2], "missing")],
    "p4-2": [((10, 3), "resumed"), ((50, 0), "one topic"), ((1, 0), "all partitions")],
    "p4-3": [((2, 3), "one key"), ((1, 10), "three partitions"), ((1, 1), "improbable")],
    "p4-4": designs.WRONG["p4-4"],
    "p5-1": [(20, "still contains"), (500, "how few"), (48, "still contains")],
    "p5-2": [
        (["PaymentCompleted", "OrderConfirmed"], "counter-example"),
        ([], "another one"),
        (["OrderCancelled"], "counter-example"),
    ],
    "p5-3": [(10, "mean"), (2, "refusal in ten"), (52, "formula"), (90, "still owed")],
    "p5-4": designs.WRONG["p5-4"],
}

ODD = [
    ("p0-2", "none", "a text"),
    ("p0-2", None, "no answer"),
    ("p0-2", ..., "no answer"),
    ("p0-2", float("nan"), "not finite"),
    ("p0-2", 10**400, "too large"),
    ("p0-3", 6.0, "a float"),
    ("p0-3", (6.0, 1.25, 3.0), "this has 3"),
    ("p0-1", [1, 2], "no names"),
    ("p1-2", 1.0, "{SETTING: seconds}"),
    ("p2-1", (4, 0), "more than 0"),
    ("p3-1", -1, "more than 0"),
    ("p5-1", 0.5, "no number of orders"),
    ("p5-2", ["OrderCreated"], "does not consume OrderCreated"),
    ("p0-2", True, "a truth value"),
    ("p0-2", pd.DataFrame({"a": [1]}), "a DataFrame"),
    *designs.ODD,
]


@pytest.mark.parametrize(
    ("exercise", "answer"), [(id, one) for id, its in RIGHT.items() for one in its]
)
def test_a_right_answer_is_right(exercise: str, answer: Any) -> None:
    feedback = check(exercise, answer)
    assert feedback.right, feedback
    assert str(feedback) == f"{exercise}: right."


@pytest.mark.parametrize(
    ("exercise", "answer", "advice"), [(id, *one) for id, its in WRONG.items() for one in its]
)
def test_a_wrong_answer_gets_advice(exercise: str, answer: Any, advice: str) -> None:
    feedback = check(exercise, answer)
    assert not feedback.right
    assert advice in feedback.advice
    assert "not yet" in feedback._repr_html_()


@pytest.mark.parametrize("exercise", RIGHT)
def test_no_advice_gives_the_answer_away(exercise: str) -> None:
    right = RIGHT[exercise][0]
    texts = {repr(each) for each in (right if isinstance(right, list | tuple) else [right])}
    for answer, _ in WRONG[exercise]:
        advised = set(re.findall(r"[\d.]+\d|\d", check(exercise, answer).advice))
        assert not advised & (texts - {"0", "1", "3"}), advised


@pytest.mark.parametrize(("exercise", "answer", "why"), ODD)
def test_an_odd_answer_gets_a_sentence(exercise: str, answer: Any, why: str) -> None:
    with pytest.raises(OddAnswer, match=re.escape(why)) as raised:
        check(exercise, answer)
    assert every_exercise()[exercise].answer in str(raised.value)


def test_an_unknown_exercise_lists_those_there_are() -> None:
    with pytest.raises(UnknownName, match=r"no exercise 'p9-9'; there are: p0-1, .*p5-4"):
        check("p9-9", 1)


def test_the_exercises_of_a_phase_are_a_table() -> None:
    table = of("phase3")
    assert list(table.index) == ["p3-1", "p3-2", "p3-3", "p3-4", "p3-5"]
    assert table["answer"]["p3-2"] == "the number of a replica"
    with pytest.raises(UnknownName, match="no exercises of 'phase9'"):
        of("phase9")


def test_each_exercise_has_a_right_answer_and_two_wrong_ones_here() -> None:
    assert list(RIGHT) == list(WRONG) == list(every_exercise())
    assert min(len(wrong) for wrong in WRONG.values()) >= 2


def test_the_exercises_are_those_of_the_labs() -> None:
    found = []
    for lab in all_labs().values():
        cells = json.loads(lab.path.read_text(encoding="utf-8"))["cells"]
        found += [
            f"p{lab.phase.removeprefix('phase')}-{number}"
            for cell in cells
            for number in re.findall(r"^\*\*(\d)\.\*\*", "".join(cell["source"]), re.MULTILINE)
            if cell["cell_type"] == "markdown" and cell["id"].startswith("exercise-")
        ]
        text = lab.path.read_text(encoding="utf-8")
        assert f'exercises.of(\\"{lab.phase}\\", seed=SEED)' in text
    assert found == list(every_exercise())


@pytest.mark.parametrize("phase", range(6))
def test_each_lab_has_three_to_five_exercises_at_all_levels(phase: int) -> None:
    own = [one for id, one in every_exercise().items() if id.startswith(f"p{phase}-")]
    assert {one.level for one in own} == set(Level)
    assert 3 <= len(own) <= 5
    assert [one.title.startswith("Design a measurement") for one in own].count(True) == 1
    assert own[-1].title.startswith("Design a measurement")
