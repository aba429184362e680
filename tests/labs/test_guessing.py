"""Guesses: what experiments ask for, how a run locks them, and how their calibration is counted."""

import json
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from jupyter_client.manager import start_new_kernel

from environment.errors import LabError
from labs import guessing
from labs.calibration import Calibration
from labs.experiment import find, modules
from labs.experiments.phase1 import hop
from labs.experiments.phase4 import replay
from labs.guessing import (
    EXACT,
    Guess,
    GuessError,
    Guesses,
    asks,
    guesses_of,
    within_factor,
    within_points,
)
from tests.labs.test_records import SAMPLES

DECLARED = [(name, quantity) for name in modules() for quantity in guesses_of(find(name))]


@pytest.fixture
def guesses(monkeypatch: pytest.MonkeyPatch) -> Guesses:
    monkeypatch.delenv("LAB_GUESSES", raising=False)
    return Guesses({})


@pytest.mark.parametrize("phase", sorted({name.split(".")[2] for name in modules().values()}))
def test_two_thirds_of_the_experiments_of_a_phase_ask_for_a_guess(phase: str) -> None:
    experiments = [name for name, module in modules().items() if f".{phase}." in module]
    asking = [name for name in experiments if guesses_of(find(name))]
    assert len(asking) >= 2 / 3 * len(experiments)
    assert all(len(guesses_of(find(name))) <= 2 for name in asking)


@pytest.mark.parametrize(("name", "quantity"), DECLARED)
def test_the_reference_is_right_and_a_far_off_guess_is_wrong(name: str, quantity: str) -> None:
    guess, (samples, _) = guesses_of(find(name))[quantity], SAMPLES[name]
    measured = float(guess.measured(samples))
    assert math.isfinite(measured)
    assert guess.right.holds(guess.reference, measured)
    assert not guess.right.holds(10 * measured + 1000, measured)


@pytest.mark.parametrize(("name", "quantity"), DECLARED)
def test_a_theory_is_a_number_near_what_was_measured(name: str, quantity: str) -> None:
    guess, (samples, prediction) = guesses_of(find(name))[quantity], SAMPLES[name]
    if guess.theory is not None:
        theory, measured = float(guess.theory(prediction)), float(guess.measured(samples))
        assert theory == pytest.approx(measured, rel=0.25) or name == "hop"  # an upper estimate


@pytest.mark.parametrize(("name", "quantity"), DECLARED)
def test_a_question_can_be_read_alone(name: str, quantity: str) -> None:
    guess = guesses_of(find(name))[quantity]
    assert guess.question.endswith("?")
    assert guess.unit
    assert quantity.isidentifier()
    assert quantity != "sure"


@pytest.mark.parametrize(
    ("rule", "guessed", "measured", "right"),
    [
        (within_factor(2), 1, 2, True),
        (within_factor(2), 4, 2, True),
        (within_factor(2), 4.1, 2, False),
        (within_factor(2), 0, 2, False),
        (within_factor(2), 0, 0, True),
        (within_factor(2), -2, -2, True),
        (within_points(5), 38, 33, True),
        (within_points(5), 39, 33, False),
        (EXACT, 9, 9, True),
        (EXACT, 8, 9, False),
    ],
)
def test_a_rule_has_two_sides(rule: Any, guessed: float, measured: float, right: bool) -> None:
    assert rule.holds(guessed, measured) is right


def test_a_guess_is_locked_with_its_confidence_and_time(guesses: Guesses) -> None:
    shown = guesses.lock(hop, {"overhead_ms": np.float64(2)}, 0.8)
    locked = guesses.facts["hop"]["overhead_ms"]
    assert (locked["value"], locked["sure"], locked["earlier"]) == (2.0, 0.8, [])
    assert locked["time"].startswith("20")
    assert "locked: 2 ms, 80% sure" in repr(shown)
    assert "locked: 2 ms, 80% sure" in shown._repr_html_()
    json.dumps(guesses.facts)


def test_dots_show_the_question_and_lock_nothing(guesses: Guesses) -> None:
    for values, sure in (({"overhead_ms": ...}, ...), ({"overhead_ms": ...}, 0.8), ({}, ...)):
        shown = guesses.lock(hop, values, sure)
        assert "How much longer" in repr(shown)
        assert "no guess yet" in repr(shown)
    assert guesses.facts == {}


def test_a_newer_guess_counts_and_the_older_one_stays_in_the_record(guesses: Guesses) -> None:
    guesses.lock(hop, {"overhead_ms": 20}, 0.9)
    shown = guesses.lock(hop, {"overhead_ms": 2}, 0.6)
    locked = guesses.facts["hop"]["overhead_ms"]
    assert locked["value"] == 2
    assert [(each["value"], each["sure"]) for each in locked["earlier"]] == [(20, 0.9)]
    assert "it replaces 20 ms" in repr(shown)


@pytest.mark.parametrize(
    ("values", "sure", "message"),
    [
        ({"overhead": 2}, 0.8, "Did you mean overhead_ms"),
        ({"seconds": 2}, 0.8, "It asks for: overhead_ms"),
        ({"overhead_ms": "2"}, 0.8, "write a number, without quotes"),
        ({"overhead_ms": None}, 0.8, "write a number"),
        ({"overhead_ms": True}, 0.8, "write a number"),
        ({"overhead_ms": [2]}, 0.8, "write a number"),
        ({"overhead_ms": math.nan}, 0.8, "write a number"),
        ({"overhead_ms": 10**400}, 0.8, "write a number"),
        ({"overhead_ms": 2}, ..., "How sure are you"),
        ({"overhead_ms": 2}, 80, r"write sure=0\.8"),
        ({"overhead_ms": 2}, 0.3, r"from 0\.5 to 1"),
        ({"overhead_ms": 2}, 1.2, r"from 0\.5 to 1"),
        ({"overhead_ms": 2}, "very", "sure is 'very'"),
    ],
)
def test_a_guess_that_is_none_gets_a_sentence(
    guesses: Guesses, values: dict[str, object], sure: object, message: str
) -> None:
    with pytest.raises(GuessError, match=message):
        guesses.lock(hop, values, sure)
    assert guesses.facts == {}


@pytest.mark.parametrize(
    ("subject", "message"),
    [("hop", "is no experiment"), (replay, "replay asks for no guess")],
)
def test_what_asks_for_nothing_is_named(guesses: Guesses, subject: Any, message: str) -> None:
    with pytest.raises(GuessError, match=message):
        guesses.lock(subject, {"overhead_ms": 2}, 0.8)


def test_a_guess_after_the_measurement_is_refused(guesses: Guesses) -> None:
    guesses.lock(hop, {"overhead_ms": 20}, 0.9)
    guesses.compare(hop, *SAMPLES["hop"])
    with pytest.raises(GuessError, match="counts only before"):
        guesses.lock(hop, {"overhead_ms": 1}, 1)
    assert guesses.facts["hop"]["overhead_ms"]["value"] == 20


def test_the_comparison_names_guess_theory_and_measurement(guesses: Guesses) -> None:
    assert guesses.compare(hop, *SAMPLES["hop"]) is None
    guesses = Guesses({})
    guesses.lock(hop, {"overhead_ms": 5}, 0.9)
    shown = guesses.compare(hop, *SAMPLES["hop"])
    line = "you guessed 5 ms (90% sure) · theory 2 ms · measured 1 ms: not right"
    assert line in repr(shown)
    assert shown
    assert line in shown._repr_html_()


def test_samples_without_the_number_do_not_end_the_measurement(guesses: Guesses) -> None:
    guesses.lock(hop, {"overhead_ms": 5}, 0.9)
    shown = guesses.compare(hop, pd.DataFrame(), SAMPLES["hop"][1])
    assert "the guess does not count" in repr(shown)
    assert guesses.calibration().topics.empty


def requests(**metadata: str) -> Any:
    kernel = SimpleNamespace(get_parent=lambda channel: {"metadata": metadata})
    return lambda: SimpleNamespace(kernel=kernel)


@pytest.mark.parametrize(
    ("chosen", "shell", "expected"),
    [
        (None, requests(cellId="hop"), True),
        (None, requests(), False),
        (None, lambda: None, False),
        ("off", requests(cellId="hop"), False),
        ("on", requests(), True),
    ],
)
def test_only_a_person_is_asked_unless_a_variable_says_otherwise(
    chosen: str | None, shell: Any, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guessing, "get_ipython", shell)
    monkeypatch.delenv("LAB_GUESSES", raising=False)
    if chosen:
        monkeypatch.setenv("LAB_GUESSES", chosen)
    assert asks() is expected


@pytest.mark.parametrize("chosen", ["", "yes", "OFF"])
def test_a_variable_that_is_neither_is_refused(
    chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_GUESSES", chosen)
    with pytest.raises(LabError, match="should be on or off"):
        asks()


@pytest.mark.parametrize(("metadata", "expected"), [({"cellId": "a"}, "True"), ({}, "False")])
def test_a_kernel_tells_a_notebook_in_a_browser_from_a_headless_run(
    metadata: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JupyterLab sends the cell's id with each request, and what runs a notebook headless does not."""
    monkeypatch.delenv("LAB_GUESSES", raising=False)
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        code = {"code": "from labs.guessing import asks; print(asks())", "silent": False}
        client.shell_channel.send(client.session.msg("execute_request", code, metadata=metadata))
        texts = []
        while (message := client.get_iopub_msg(timeout=30))["content"] != {
            "execution_state": "idle"
        }:
            texts.append(message["content"].get("text", ""))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert "".join(texts).strip() == expected


def test_a_measurement_waits_for_every_missing_guess(
    guesses: Guesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_GUESSES", "on")
    with pytest.raises(GuessError, match=r"run\.guess\(hop, overhead_ms=\.\.\., sure=0\.8\)"):
        guesses.require(hop)
    guesses.lock(hop, {"overhead_ms": 2}, 0.8)
    guesses.require(hop)
    guesses.require(replay)


def test_a_second_measurement_does_not_wait(
    guesses: Guesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    guesses.compare(hop, *SAMPLES["hop"])
    monkeypatch.setenv("LAB_GUESSES", "on")
    guesses.require(hop)


def entry(sure: float, right: bool | None, value: float = 1) -> dict[str, Any]:
    return {
        "value": value,
        "unit": "ms",
        "sure": sure,
        "theory": None,
        "measured": None if right is None else 2.0,
        "right": right,
    }


def test_the_calibration_counts_by_level() -> None:
    facts = {
        "hop": {"a": entry(0.8, True), "b": entry(0.8, False)},
        "auth": {"c": entry(1, True), "d": entry(0.5, None)},
    }
    calibration = Calibration.of(facts)
    levels = calibration.levels.set_index("sure")
    assert levels["guesses"].to_dict() == {0.8: 2, 1.0: 1}
    assert levels["right"].to_dict() == {0.8: 1, 1.0: 1}
    assert calibration.brier == pytest.approx((0.2**2 + 0.8**2 + 0) / 3)
    assert "right in 2 of 3 (67%)" in calibration.summary
    assert len(calibration.topics) == 3
    for shown in (repr(calibration), calibration._repr_html_()):
        assert "Brier score 0.23" in shown
        assert "auth" in shown


@pytest.mark.parametrize(
    ("right", "words"),
    [
        ([False] * 20, ("you were too sure", "worse than a coin's")),
        ([True] * 16 + [False] * 4, ("you were as sure as you were right", "carry information")),
    ],
)
def test_the_summary_says_what_the_score_means(right: list[bool], words: tuple[str, ...]) -> None:
    facts = {"hop": {f"q{number}": entry(0.8, each) for number, each in enumerate(right)}}
    assert all(word in Calibration.of(facts).summary for word in words)


def test_the_summary_names_too_little_confidence() -> None:
    facts = {"hop": {f"q{number}": entry(0.5, True) for number in range(20)}}
    assert "more often than you expected" in Calibration.of(facts).summary


def test_without_guesses_the_calibration_is_one_sentence() -> None:
    calibration = Calibration.of({})
    assert repr(calibration) == calibration.summary
    assert calibration._repr_html_().count("<p>") == 1
    assert "<table" not in calibration._repr_html_()


def test_a_guess_needs_no_theory() -> None:
    guess = Guess("How many?", "orders", lambda samples: len(samples), EXACT, 1)
    assert guess.theory is None
