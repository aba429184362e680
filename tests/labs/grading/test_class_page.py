"""The page of a class: what each number counts, that nobody is named, and that nothing of a bundle becomes HTML."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from environment.errors import LabError
from labs.grading.class_page import calibration_levels, render, summary, write_class_page
from labs.grading.contributions import Answered, Guessed
from labs.grading.evaluation import UNREADABLE, Grade
from labs.grading.flags import Flag

EVIL = "<script>alert(1)</script>"


def guessed(value: float, **more: Any) -> Guessed:
    facts = {"sure": 0.8, "theory": 2.0, "measured": 1.0, "right": value <= 3} | more
    return Guessed("hop", "overhead_ms", float(value), **facts)


def grade(student: str, *answered: Answered, guesses: Sequence[Guessed] = (), **more: Any) -> Grade:
    facts = {"file": f"{student}-file.zip", "phase": "phase1", "verdicts": {"hop": "pass"}} | more
    return Grade(student=student, guesses=list(guesses), answered=list(answered), **facts)


def text_of(page: str) -> str:
    """The text of a page without its tags and pictures."""
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL).split())


def rows_of(page: str) -> list[str]:
    """The rows of the page's tables, and the items of its lists, as texts."""
    return [text_of(row) for _, row in re.findall(r"<(tr|li)\b[^>]*>(.*?)</\1>", page, re.DOTALL)]


UNREAD = Grade("carol.pdf", flags=[Flag(UNREADABLE, "is no zip file")])

CLASS = [
    grade("ada", Answered("p1-1", "6", False), Answered("p1-1", "5", True), guesses=[guessed(2)]),
    grade(
        "bob",
        Answered("p1-1", "6", False),
        Answered("p1-1", "6", False),
        guesses=[guessed(40, sure=1.0)],
        verdicts={"hop": "fail"},
    ),
    grade("eve", Answered("p1-1", EVIL, False), guesses=[guessed(3, sure=0.85)]),
    UNREAD,
]


@pytest.fixture(scope="module")
def page() -> str:
    return render(CLASS, names=False)


@pytest.fixture(scope="module")
def named() -> str:
    return render(CLASS, names=True)


def test_no_student_and_no_file_is_named(page: str) -> None:
    assert not re.search(r"\b(ada|bob|eve|carol)\b", text_of(page))
    assert "3 bundles of 3 students; 1 file could not be read." in text_of(page)


def test_names_are_shown_when_they_are_asked_for(named: str) -> None:
    rows = rows_of(named)
    assert "ada 2 80 % 1 yes" in rows
    assert "bob 40 100 % 1 no" in rows
    assert "6 (2: ada, bob)" in rows
    assert "carol.pdf: is no zip file" in named


@pytest.mark.parametrize("names", [False, True])
def test_what_a_bundle_holds_is_escaped(names: bool) -> None:
    odd = Grade(EVIL, flags=[Flag(UNREADABLE, EVIL)])
    page = render([*CLASS, grade("mallory", file=EVIL, verdicts={EVIL: EVIL}), odd], names=names)
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_the_page_needs_no_other_file(page: str) -> None:
    assert not re.search(r"(src|href)=\"(?!data:image/png;base64,)", page)
    assert page.count("data:image/png;base64,") == 2
    assert page.count('alt="') == 2


def test_a_student_counts_once_for_each_wrong_answer(page: str) -> None:
    assert "answered by 3 students, 0 right at once, 1 right in the end" in text_of(page)
    assert [row for row in rows_of(page) if "(" in row] == [
        "6 (2)",
        "&lt;script&gt;alert(1)&lt;/script&gt; (1)",
    ]


def test_only_the_common_wrong_answers_are_shown() -> None:
    answers = [Answered("p1-1", f"wrong {number}", False) for number in range(9)]
    text = text_of(render([grade("ada", *answers), grade("bob", answers[8])], names=False))
    assert "wrong 8 (2) wrong 0 (1)" in text
    assert "and 4 more" in text


def test_answers_of_another_kind_are_counted_and_not_shown() -> None:
    rude = Answered("p1-1", "rude", False, odd=True)
    also = Answered("p1-1", "worse", False, odd=True)
    page = render([grade("ada", rude, also), grade("bob", rude), grade("eve")], names=True)
    assert not re.search("rude|worse", page)
    assert "2 of another kind" in rows_of(page)
    assert "of another kind" not in render(CLASS, names=True)


def test_answers_for_other_numbers_are_other_answers() -> None:
    answers = [Answered("p1-1", "6", False, f"limit={limit}") for limit in (3, 4)]
    page = render([grade("ada", answers[0]), grade("bob", answers[1])], names=False)
    assert {"6 for limit=3 (1)", "6 for limit=4 (1)"} <= set(rows_of(page))


def test_verdicts_are_counted_by_their_outcome(page: str) -> None:
    assert "hop 2 1 ·" in rows_of(page)


def test_an_experiment_that_some_bundles_lack_is_missing_there() -> None:
    page = render([grade("ada"), grade("bob", verdicts={"auth": "inconclusive"})], names=False)
    assert {"hop 1 · · 1", "auth · · 1 1"} <= set(rows_of(page))


def test_a_second_bundle_of_a_student_and_phase_does_not_count() -> None:
    twice = [grade("ada", file="a.zip"), grade("ada", file="b.zip", verdicts={"hop": "fail"})]
    other = grade("ada", file="c.zip", phase="phase0", verdicts={"startup": "pass"})
    page = render([*twice, other], names=False)
    assert "hop 1 · ·" in rows_of(page)
    assert "2 bundles of 1 student; 1 more of the same students" in text_of(page)


def test_bundles_without_an_id_are_of_different_students() -> None:
    page = render([grade("", file="a.zip"), grade("", file="b.zip")], names=False)
    assert "2 bundles of 2 students" in text_of(page)


def test_levels_of_confidence_are_counted_by_tenths() -> None:
    sure = {0.5: True, 0.59: False, 0.6: True, 0.7: False, 0.99: True, 1.0: False}
    levels = list(calibration_levels([guessed(1, sure=s, right=r) for s, r in sure.items()]))
    assert [(each["label"], each["guesses"], each["right"]) for each in levels] == [
        ("50 to 59 %", 2, 1),
        ("60 to 69 %", 1, 1),
        ("70 to 79 %", 1, 0),
        ("90 to 99 %", 1, 1),
        ("100 %", 1, 0),
    ]


def test_a_guess_that_was_not_compared_is_not_in_the_calibration(page: str) -> None:
    extra = grade("zoe", guesses=[guessed(2, measured=None, right=None, theory=None)])
    assert "right in 2 of 3 guesses" in text_of(page)
    assert "right in 2 of 3 guesses" in text_of(render([*CLASS, extra], names=False))


def test_a_summary_states_the_spread_and_what_was_right() -> None:
    guesses = [guessed(2), guessed(3), guessed(2000)]
    assert summary(guesses, "ms") == (
        "3 guesses (ms): from 2 to 2,000, median 3. Theory: 2. Measured: 1. Right: 2 of 3."
    )
    alone = guessed(2, theory=None, measured=None, right=None)
    assert summary([alone], "ms").startswith("One guess (ms): 2. No samples give the number")


def test_a_class_without_guesses_and_answers_gets_sentences() -> None:
    text = text_of(render([grade("ada")], names=False))
    assert "These bundles hold no guess." in text
    assert "there is no calibration" in text
    assert "hold no answer to an exercise" in text


def test_a_folder_without_bundles_gets_a_sentence() -> None:
    text = text_of(render([UNREAD], names=False))
    assert "No file of the folder is a bundle." in text


@pytest.mark.parametrize("students", [1, 200])
def test_a_class_may_have_one_student_or_many(students: int) -> None:
    guesses = [[guessed(0.5 + number)] for number in range(students)]
    grades = [grade(f"s{number}", guesses=each) for number, each in enumerate(guesses)]
    assert f"of {students} student" in text_of(render(grades, names=False))


def test_a_page_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="cannot be written"):
        write_class_page(CLASS, tmp_path / "nowhere" / "class.html")
