"""The numbers that a student's seed chooses: right answers by other formulas than the checks', and no odd variant."""

import math
import re
from collections.abc import Callable
from typing import Any

import pytest

from labs.exercises import DEFAULT_SEED, check, every_exercise, of
from labs.exercises.checking import WORDS, Exercise
from labs.experiments.phase3 import health_check
from labs.running.notebooks import all_labs

SEEDS = [DEFAULT_SEED, *range(100, 199)]

UNLOADED = 0.004
"""Seconds, as a student measures them for the exercise p2-1."""


def ip_hash(office: str) -> int:
    value = 89
    for octet in office.split("."):
        value = (113 * value + int(octet)) % 6271
    return value % 4 + 1


def helps(partitions: int) -> list[int]:
    busiest = [-(-partitions // members) for members in range(1, partitions + 1)]
    return [n for n in range(2, partitions + 1) if busiest[n - 1] < busiest[n - 2]]


def attempts(rate: float, paid: float) -> int:
    owed, number = 1.0, 0
    while owed > 1 - paid + 1e-12:
        owed, number = owed * rate, number + 1
    return number


REFERENCE: dict[str, Callable[..., Any]] = {
    "p0-3": lambda services, seconds, cpu, cores: [services * seconds, services * cpu / cores],
    "p1-1": lambda limit, seconds: limit - 1 + limit,
    "p2-1": lambda ratio, seconds: [math.ceil((ratio - 1) * UNLOADED / seconds), UNLOADED],
    "p2-3": lambda limit, replicas, workers: limit * replicas * workers,
    "p3-1": lambda delay, one_in: (one_in - 3) / delay,
    "p3-2": ip_hash,
    "p3-3": lambda max_fails, fail_timeout: (
        max_fails + math.ceil(health_check.NOTICE * health_check.RATE / 3)
    ),
    "p4-1": helps,
    "p5-3": attempts,
}
"""The right answer, by the numbers of the exercise."""

WRONG: dict[str, Callable[..., list[tuple[Any, str]]]] = {
    "p0-3": lambda services, seconds, cpu, cores: [
        ([services * seconds, services * seconds / cores], "waiting overlaps"),
        ([services * seconds, seconds], "cannot do"),
        ([services * cpu, services * cpu / cores], "One by one"),
    ],
    "p1-1": lambda limit, seconds: [(limit, "moving window"), (2 * limit, "opens it")],
    "p2-1": lambda ratio, seconds: [
        ([1, UNLOADED], "smaller"),
        ([2 * math.ceil(ratio * UNLOADED / seconds), UNLOADED], "Fewer"),
    ],
    "p2-3": lambda limit, replicas, workers: [
        (limit, "one memory"),
        (limit * replicas, "Each worker"),
        (100, "its limit"),
        (limit * replicas * workers - 1, "the most"),
    ],
    "p3-1": lambda delay, one_in: [
        ((one_in - 3) / delay - 1 / delay, "gets more"),
        ((one_in - 2) / delay, "gets fewer"),
    ],
    "p3-2": lambda office: [(ip_hash(office) % 4 + 1, "first three"), (5, "1 to 4")],
    "p3-3": lambda max_fails, fail_timeout: [
        (max_fails, "pass it over"),
        (max_fails + 1, "the most"),
        (60, "each time"),
    ],
    "p4-1": lambda partitions: [
        ([n for n in range(2, partitions + 1) if partitions % n == 0], "divides"),
        (helps(partitions)[:-1], "missing"),
        (range(2, partitions + 1), "as before"),
        ([2, partitions + 1], f"one to {WORDS[partitions]} members"),
    ],
    "p5-3": lambda rate, paid: [
        (round(1 / (1 - rate)), "mean"),
        (math.log(1 - paid) / math.log(1 - rate), "one refusal in"),
        (round(1.2 * attempts(rate, paid)) + 2, "formula"),
        (4 * attempts(rate, paid), "still owed"),
    ],
}
"""Usual wrong answers, by the numbers of the exercise, and the advice that they get."""


def variants(exercise: str) -> list[tuple[int, Exercise]]:
    """Each different variant of an exercise, with the first seed that has it."""
    found: dict[str, tuple[int, Exercise]] = {}
    for seed in SEEDS:
        one = every_exercise(seed)[exercise]
        found.setdefault(one.numbers, (seed, one))
    return list(found.values())


def test_every_lab_has_an_exercise_with_the_students_numbers() -> None:
    varied = [name for name, one in every_exercise().items() if one.given]
    assert varied == list(REFERENCE) == list(WRONG)
    assert {name[:2] for name in varied} == {f"p{phase}" for phase in range(6)}


@pytest.mark.parametrize("exercise", REFERENCE)
def test_the_reference_answer_of_each_seed_is_right(exercise: str) -> None:
    for seed in SEEDS:
        given = every_exercise(seed)[exercise].given
        feedback = check(exercise, REFERENCE[exercise](**given), seed=seed)
        assert feedback.right, (seed, given, feedback)


@pytest.mark.parametrize("exercise", REFERENCE)
def test_the_answer_of_another_seed_is_not_right(exercise: str) -> None:
    for seed, mine in variants(exercise):
        right = REFERENCE[exercise](**mine.given)
        for _, other in variants(exercise):
            answer = REFERENCE[exercise](**other.given)
            if answer != right:
                assert not check(exercise, answer, seed=seed).right, (mine.given, other.given)


@pytest.mark.parametrize("exercise", WRONG)
def test_the_usual_wrong_answers_are_wrong_in_each_variant(exercise: str) -> None:
    for seed, one in variants(exercise):
        for answer, advice in WRONG[exercise](**one.given):
            feedback = check(exercise, answer, seed=seed)
            assert not feedback.right, (one.given, answer)
            assert advice in feedback.advice, (one.given, answer)


@pytest.mark.parametrize("exercise", WRONG)
def test_no_advice_gives_the_answer_of_a_variant_away(exercise: str) -> None:
    for seed, one in variants(exercise):
        reference = REFERENCE[exercise](**one.given)
        right = set(reference if isinstance(reference, list) else [reference])
        allowed = {1, 3, *one.given.values()}  # of one by one, of the first three octets
        allowed |= {4} if exercise == "p3-2" else set()  # the replicas are 1 to 4
        for answer, _ in WRONG[exercise](**one.given):
            advice = check(exercise, answer, seed=seed).advice.lower()
            named = {float(each) for each in re.findall(r"\d+\.?\d*", advice)}
            named |= {WORDS.index(each) for each in re.findall(r"[a-z]+", advice) if each in WORDS}
            assert not right & named - allowed, (one.given, advice)


@pytest.mark.parametrize("exercise", REFERENCE)
def test_students_have_different_numbers(exercise: str) -> None:
    different = [one.given for _, one in variants(exercise)]
    assert len(different) >= 6
    default = every_exercise()[exercise].given
    others = [every_exercise(seed)[exercise].given for seed in SEEDS if seed != DEFAULT_SEED]
    assert default not in others
    most = max(others.count(given) for given in different)
    assert most <= len(others) / 2


def test_the_replicas_of_the_offices_differ() -> None:
    replicas = {REFERENCE["p3-2"](**one.given) for _, one in variants("p3-2")}
    assert replicas == {1, 2, 3, 4}


def test_no_variant_is_what_the_lab_itself_measures() -> None:
    assert all(one.given["limit"] != 5 for _, one in variants("p1-1"))
    assert all(one.given["max_fails"] > 1 for _, one in variants("p3-3"))
    assert all(one.given["partitions"] != 6 for _, one in variants("p4-1"))


def test_a_seed_has_the_same_numbers_in_every_version() -> None:
    """A change of these would turn right answers of this term into wrong ones."""
    numbers = {name: one.numbers for name, one in every_exercise(8).items() if one.given}
    assert numbers == {
        "p0-3": "services=8, seconds=1.5, cpu=1.2, cores=3",
        "p1-1": "limit=4, seconds=2",
        "p2-1": "ratio=50, seconds=0.05",
        "p2-3": "limit=3, replicas=2, workers=2",
        "p3-1": "delay=0.4, one_in=8",
        "p3-2": "office=10.1.12",
        "p3-3": "max_fails=5, fail_timeout=1",
        "p4-1": "partitions=11",
        "p5-3": "rate=0.95, paid=0.99",
    }


def test_the_default_seed_has_the_numbers_of_the_reference_answers() -> None:
    assert of("phase1", seed=7)["your numbers"].tolist() == ["limit=3, seconds=1", "", "", "", ""]
    titles = {name: one.title for name, one in every_exercise().items()}
    assert titles["p0-3"] == "Ten services, four cores"
    assert titles["p1-1"] == "Three per second"
    assert titles["p2-1"] == "A hundred times"
    assert titles["p2-3"] == "Two replicas, two workers each"
    assert titles["p3-1"] == "One request in twenty"
    assert titles["p3-3"] == "Three failures"
    assert titles["p5-3"] == "Nine refusals of ten"


@pytest.mark.parametrize("seed", SEEDS[:10])
@pytest.mark.parametrize("phase", range(6))
def test_the_table_of_a_seed_is_shown_whole(phase: int, seed: int) -> None:
    table = of(f"phase{phase}", seed=seed)
    assert table.map(len).max().max() < 50  # pandas shortens longer texts


@pytest.mark.parametrize("exercise", REFERENCE)
def test_the_lab_names_the_numbers_of_its_exercise(exercise: str) -> None:
    """Its text holds the names in the table and not the numbers of one seed."""
    notebook = all_labs()[f"phase{exercise[1]}"].path.read_text(encoding="utf-8")
    (text,) = re.findall(rf'"\*\*{exercise[-1]}\.\*\* [^"]*"', notebook)
    for name in every_exercise()[exercise].given:
        assert f"`{name}`" in text


@pytest.mark.parametrize("seed", [0, -1, 2**64, 10**4000])
def test_any_whole_number_is_a_seed(seed: int) -> None:
    assert every_exercise(seed)["p1-1"].given["limit"] in (2, 4, 6, 7, 8)
