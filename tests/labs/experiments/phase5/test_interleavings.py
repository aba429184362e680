"""Interleavings: every number exact, on the real checker too."""

import subprocess
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from labs.experiments.phase5 import interleavings, space_time
from labs.experiments.phase5.interleavings import DRAWN
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase5 import frames

PREDICTION = frames.interleavings_prediction()
ENV: Any = SimpleNamespace(runtime="process")


def judge(samples: pd.DataFrame) -> Verdict:
    return interleavings.judge(samples, PREDICTION)


def changed(name: str, **values: object) -> pd.DataFrame:
    samples = frames.interleavings_samples()
    for column, value in values.items():
        samples.loc[samples["name"] == name, column] = value
    return samples


def test_the_walks_as_predicted_pass() -> None:
    assert judge(frames.interleavings_samples()).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("name", "values", "because"),
    [
        ("one order", {"steps": 3, "broken": "a promise"}, "a way to a wrong state: a promise"),
        ("no-inbox", {"steps": 3, "broken": "a promise"}, "a way to a wrong state: a promise"),
        (DRAWN, {"steps": 0}, "nothing wrong was found"),
        (DRAWN, {"steps": 9}, "the shortest way has another length than predicted"),
        ("one order", {"states": 157}, "not as many states or ends as predicted"),
        ("one order", {"ends": 8}, "not as many states or ends as predicted"),
    ],
)
def test_any_other_number_fails(name: str, values: dict[str, object], because: str) -> None:
    verdict = judge(changed(name, **values))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"{name}: {because}",)


def test_a_model_that_was_not_walked_is_in_doubt() -> None:
    samples = frames.interleavings_samples().query("name != 'one order'")
    assert judge(samples).outcome is Outcome.INCONCLUSIVE


def test_the_real_checker_passes() -> None:
    samples = interleavings.measure(ENV)
    assert judge(samples).outcome is Outcome.PASS
    traces, expected = (
        dict(zip(each["name"], each["trace"], strict=True))
        for each in (samples, frames.interleavings_samples())
    )
    assert traces[DRAWN] == expected[DRAWN]


def test_every_wrong_design_of_the_checker_is_predicted() -> None:
    command = [*interleavings.COMMAND, "--list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == [*interleavings.STEPS]


def test_a_cell_that_is_left_out_shows_its_way() -> None:
    table = interleavings.counter_example("--without", "payment/none/OrderCancelled")
    assert table["step"].tolist() == list(range(1, 9))
    assert interleavings.counter_example().empty


def test_an_argument_that_makes_no_sense_is_explained() -> None:
    with pytest.raises(ValueError, match="no mutant 'nothing'"):
        interleavings.check("--mutant", "nothing")


def test_the_figure_has_an_arrow_for_each_reading() -> None:
    above, _ = interleavings.plot(frames.interleavings_samples(), PREDICTION).axes
    texts: Any = above.texts
    arrows = [text for text in texts if getattr(text, "arrow_patch", None) is not None]
    assert len(arrows) == 4
    assert "2. deadline" in [text.get_text() for text in texts]


@pytest.mark.parametrize(
    ("event", "name"),
    [("OrderCancelled", "order"), ("PaymentFailed", "payment"), ("InventoryFailed", "inventory")],
)
def test_the_first_word_of_an_event_names_its_publisher(event: str, name: str) -> None:
    assert space_time.publisher_of(event) == name
