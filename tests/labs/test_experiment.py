"""What holds for every experiment, and how an inconclusive one is repeated."""

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from environment.errors import LabError, UnknownName
from labs.experiment import find, modules, until_conclusive
from labs.verdicts import Verdict

ROOT = Path(__file__).resolve().parents[2]


def tree(name: str) -> ast.Module:
    return ast.parse((ROOT / f"{modules()[name].replace('.', '/')}.py").read_text())


@pytest.mark.parametrize("name", modules())
def test_an_experiment_offers_every_name(name: str) -> None:
    experiment = find(name)
    assert experiment.TITLE
    assert len(experiment.THEORY) > 60
    for part in ("predict", "measure", "judge", "plot"):
        assert callable(getattr(experiment, part))


@pytest.mark.parametrize("name", modules())
def test_a_prediction_needs_no_measurement(name: str) -> None:
    """`predict` names no measuring function, load or client."""
    functions = [node for node in tree(name).body if isinstance(node, ast.FunctionDef)]
    predict = next(node for node in functions if node.name == "predict")
    used = {node.id for node in ast.walk(predict) if isinstance(node, ast.Name)}
    assert not {
        word for word in used if word.startswith(("measure", "Load", "httpx", "psutil", "env"))
    }


def test_an_unknown_experiment_is_answered_with_the_existing_ones() -> None:
    with pytest.raises(UnknownName, match=r"Did you mean independence.*independence, startup"):
        find("independance")


class Counting:
    """An experiment that counts how often it was measured."""

    def __init__(self, needed: int, *, extend: bool = True) -> None:
        self.made, self.needed, self.extend = 0, needed, extend

    def measure(self, env: str, *, seconds: int) -> pd.DataFrame:
        self.made += 1
        return pd.DataFrame({"env": [env] * seconds, "attempt": 1})

    def judge(self, samples: pd.DataFrame, prediction: Any) -> Verdict:
        doubts = ["too few"] * (len(samples) < self.needed)
        return Verdict.of("counting", "enough rows", doubts=doubts, extend=self.extend)


@pytest.mark.parametrize(("needed", "made"), [(2, 1), (4, 2), (8, 4), (100, 4)])
def test_an_inconclusive_sample_is_extended_three_times_at_most(
    needed: int, made: int, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment: Any = Counting(needed)
    samples = until_conclusive(experiment, pd.DataFrame(), "env", seconds=2)
    assert experiment.made == made
    assert samples["attempt"].tolist() == [n for n in range(1, made + 1) for _ in range(2)]
    output = capsys.readouterr().out
    assert output.count("measuring once more") == made - 1
    assert ("Still inconclusive" in output) == (needed == 100)


@pytest.mark.parametrize("most", [0, 1, 5])
def test_a_variable_sets_how_often_a_sample_is_extended(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_REPETITIONS", str(most))
    experiment: Any = Counting(100)
    until_conclusive(experiment, pd.DataFrame(), "env", seconds=1)
    assert experiment.made == 1 + most


@pytest.mark.parametrize("value", ["", "-1", "two", "1.5", "²"])
def test_a_number_of_repetitions_that_is_none_is_refused(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_REPETITIONS", value)
    experiment: Any = Counting(2)
    with pytest.raises(LabError, match="should be a whole number from 0 on"):
        until_conclusive(experiment, pd.DataFrame(), "env", seconds=1)
    assert experiment.made == 0, "the mistake shows before anything is measured"


def test_a_doubt_that_no_sample_settles_is_not_extended() -> None:
    experiment: Any = Counting(100, extend=False)
    until_conclusive(experiment, pd.DataFrame(), "env", seconds=1)
    assert experiment.made == 1


def test_a_helper_of_a_phase_is_no_experiment() -> None:
    assert "orders" not in modules()
    assert SimpleNamespace(**modules()).hop == "labs.experiments.phase1.hop"
