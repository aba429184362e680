"""What holds for every experiment."""

import ast
from pathlib import Path

import pytest

from environment.errors import UnknownName
from labs import experiments
from labs.experiments import EXPERIMENTS

FOLDER = Path(experiments.__file__).parent


def test_every_module_is_an_experiment() -> None:
    modules = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert modules == set(EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_has_its_four_functions_and_says_its_theory(name: str) -> None:
    module = ast.parse((FOLDER / f"{name}.py").read_text())
    functions = {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
    assert {f"{kind}_{name}" for kind in ("predict", "measure", "judge", "plot")} <= functions
    assert len(experiments.theory(name)) > 60


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_prediction_asks_no_measurement(name: str) -> None:
    """`predict_*` names no measuring function, load or client."""
    module = ast.parse((FOLDER / f"{name}.py").read_text())
    predict = next(
        node
        for node in module.body
        if isinstance(node, ast.FunctionDef) and node.name == f"predict_{name}"
    )
    used = {node.id for node in ast.walk(predict) if isinstance(node, ast.Name)}
    assert not {
        word for word in used if word.startswith(("measure", "Load", "httpx", "psutil", "env"))
    }


def test_an_unknown_experiment_is_answered_with_those_there_are() -> None:
    with pytest.raises(UnknownName, match="independence, startup, versions"):
        experiments.theory("independance")
