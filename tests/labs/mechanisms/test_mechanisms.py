"""What a notebook shows of the mechanisms to write."""

import re
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from environment.errors import LabError, UnknownName
from labs import mechanisms
from labs.mechanisms import every_mechanism
from labs.verdicts import Outcome, Verdict


def test_a_phase_shows_the_task_the_size_the_cell_and_what_judges_it() -> None:
    shown = mechanisms.of("phase1")._repr_markdown_()
    assert shown == repr(mechanisms.of("phase1"))
    mechanism = every_mechanism()["p1-m"]
    assert mechanism.task in shown
    assert f"The reference answer has {mechanism.lines} lines." in shown
    assert "```python\n%%replace api-gateway breaker.Breaker\nclass Breaker:\n" in shown
    assert "async def call(self, send: " in shown
    assert 'mechanisms.judge("p1-m", env)' in shown
    assert "```python\nprediction = circuit_breaker.predict(" in shown
    assert "return circuit_breaker.judge(samples, prediction)\n```" in shown


def test_a_function_of_the_lab_is_shown_as_a_cell_that_runs() -> None:
    cell = every_mechanism()["p3-m"].cell
    names: dict[str, object] = {}
    exec(cell, names)
    assert {"choose", "LEAST", "MOST", "TARGET", "TOLERANCE"} <= set(names)
    shown = repr(mechanisms.of("phase3"))
    assert f"```python\n{cell.rstrip()}\n```" in shown
    assert 'Judge it with `mechanisms.judge("p3-m", env, choose)`. This runs:' in shown


def test_showing_a_phase_loads_the_magics() -> None:
    shell = InteractiveShell.instance()
    try:
        mechanisms.of("phase1")
        assert "replace" in shell.magics_manager.magics["cell"]
    finally:
        InteractiveShell.clear_instance()


def test_a_phase_without_a_mechanism_lists_those_there_are() -> None:
    with pytest.raises(UnknownName, match=r"no mechanism to write in 'phase9'; there are: .*p1-m"):
        mechanisms.of("phase9")
    with pytest.raises(UnknownName, match=r"no mechanism 'p1'; there are: .*p1-m"):
        mechanisms.judge("p1", None)  # type: ignore[arg-type]


def test_judging_runs_the_mechanism_s_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = Verdict("circuit_breaker", Outcome.PASS, "x")
    asked = []
    mechanism = every_mechanism()["p1-m"]

    def judge(env: object) -> Verdict:
        asked.append(env)
        return verdict

    monkeypatch.setitem(mechanism.__dict__, "judge", judge)
    assert mechanisms.judge("p1-m", "the environment") is verdict  # type: ignore[arg-type]
    assert asked == ["the environment"]


def choose(intervals: object, window: int) -> int:
    return 1


def test_a_function_of_the_lab_is_judged_as_an_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    mechanism = every_mechanism()["p3-m"]
    monkeypatch.setitem(mechanism.__dict__, "judge", lambda *given: asked.append(given))
    mechanisms.judge("p3-m", "the environment", choose)  # type: ignore[arg-type]
    assert asked == [("the environment", choose)]


def test_a_function_that_is_no_hand_in_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = []
    monkeypatch.setitem(
        every_mechanism()["p3-m"].__dict__, "judge", lambda *given: judged.append(given)
    )
    shell = InteractiveShell.instance()
    try:
        for body in ("ceil(window)", "floor(window)", "floor(window)\nchoose?"):
            cell = f"from math import ceil\ndef choose(intervals, window):\n    return {body}"
            shell.run_cell(cell, store_history=True)
            if "floor" not in body:
                mechanisms.judge("p3-m", None, shell.user_ns["choose"])  # type: ignore[arg-type]
                continue
            with pytest.raises(LabError, match=r"neither your source nor .* defines `floor`"):
                mechanisms.judge("p3-m", None, shell.user_ns["choose"])  # type: ignore[arg-type]
    finally:
        InteractiveShell.clear_instance()
    assert len(judged) == 1


@pytest.mark.parametrize(
    ("id", "given", "call"),
    [
        ("p3-m", (), r'mechanisms.judge\("p3-m", env, choose\)'),
        ("p3-m", (3,), r'mechanisms.judge\("p3-m", env, choose\)'),
        ("p1-m", (choose,), r'mechanisms.judge\("p1-m", env\)'),
    ],
)
def test_another_call_than_the_mechanism_needs_is_explained(
    id: str, given: tuple[Any, ...], call: str
) -> None:
    with pytest.raises(LabError, match=f"Write `{call}`"):
        mechanisms.judge(id, None, *given)  # type: ignore[arg-type]


@pytest.mark.parametrize("mechanism", every_mechanism().values(), ids=list(every_mechanism()))
def test_the_stub_is_a_source_that_is_taken(mechanism: mechanisms.Mechanism) -> None:
    mechanism.checked(mechanism.stub)
    assert "..." in mechanism.stub
    assert len(re.findall(r"\.(?: |$)", mechanism.task)) <= 4
