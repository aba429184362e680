"""Experiments: what one is, which there are, how one is measured until its verdict is conclusive.

An experiment is one module of `labs/experiments/phaseN/`, and the module is the namespace: `hop.predict`,
`hop.measure`, `hop.judge`, `hop.plot`. A module of such a folder that states a `THEORY` is an experiment; the others
are helpers of their phase. An experiment may also declare `GUESSES`, what it asks for before it is measured
(`labs/guessing.py`), and `evidence`, which chooses the request or order that shows a failure (`labs/evidence.py`).
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import pandas as pd

from environment.errors import LabError, UnknownName
from labs.judging import plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from labs.verdicts import Verdict

REPETITIONS = 3
"""How often an inconclusive measurement is repeated before it is reported as inconclusive, unless `LAB_REPETITIONS` is
another number."""

FOLDER = Path(__file__).resolve().parent / "experiments"


class Experiment(Protocol):
    """The names that an experiment's module offers."""

    @property
    def __name__(self) -> str: ...

    @property
    def TITLE(self) -> str:
        """The question, as one sentence."""

    @property
    def THEORY(self) -> str:
        """What is predicted, as a formula in words."""

    @property
    def predict(self) -> Callable[..., pd.DataFrame]:
        """Return the theory as numbers. Needs no measurement and no running system."""

    @property
    def measure(self) -> Callable[..., pd.DataFrame]:
        """Return one attempt: a tidy frame of all that judging and drawing need, with a column `attempt` of 1.

        The first argument is the `Environment`. What the function changes there, it changes back.
        """

    @property
    def judge(self) -> Callable[[pd.DataFrame, pd.DataFrame], Verdict]:
        """Return the verdict on samples (of all attempts) against a prediction."""

    @property
    def plot(self) -> Callable[[pd.DataFrame, pd.DataFrame], Figure]:
        """Return a figure of what the verdict counted, with the prediction on the same axes."""


def name_of(module: str) -> str:
    """Return an experiment's name, the last part of its module's: `hop` of `labs.experiments.phase1.hop`."""
    return module.rpartition(".")[2]


@cache
def modules() -> dict[str, str]:
    """Return the module of each experiment by its name, phase after phase.

    Reads the folder and imports nothing.
    """
    files = sorted(FOLDER.glob("phase*/*.py"))
    return {
        path.stem: f"labs.experiments.{path.parent.name}.{path.stem}"
        for path in files
        if re.search(r"^THEORY = ", path.read_text(encoding="utf-8"), re.MULTILINE)
    }


def find(name: str) -> Experiment:
    """Import the experiment of that name.

    Raises:
        UnknownName: There is none; the message names all experiments.
    """
    if name not in modules():
        near = get_close_matches(name, modules(), n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UnknownName(f"no experiment {name!r}.{hint} There are: {', '.join(modules())}")
    return cast("Experiment", importlib.import_module(modules()[name]))


def repetitions() -> int:
    """Return how often an inconclusive measurement is repeated at most.

    Raises:
        LabError: when `LAB_REPETITIONS` is not a whole number from 0 on.
    """
    chosen = os.environ.get("LAB_REPETITIONS", str(REPETITIONS))
    if not (chosen.isascii() and chosen.isdecimal()):
        raise LabError(f"LAB_REPETITIONS is {chosen!r}: it should be a whole number from 0 on.")
    return int(chosen)


def until_conclusive(
    experiment: Experiment, prediction: pd.DataFrame, *subjects: Any, **settings: Any
) -> pd.DataFrame:
    """Measure an experiment, and repeat it at most `repetitions()` times while its verdict is inconclusive.

    A verdict that more samples cannot settle ends the repetition. The samples of each attempt are appended, with the
    next number in their column `attempt`.

    Args:
        experiment: The experiment's module.
        prediction: What its `predict` returned.
        subjects: The positional arguments of its `measure`: the environment first.
        settings: The keyword arguments of its `measure`.
    """
    most = repetitions()
    samples = experiment.measure(*subjects, **settings)
    for attempt in range(2, most + 2):
        verdict = experiment.judge(samples, prediction)
        if not verdict.extend:
            return samples
        print(f"Inconclusive so far ({'; '.join(verdict.reasons)}): measuring once more.")
        more = experiment.measure(*subjects, **settings).assign(attempt=attempt)
        samples = pd.concat([samples, more], ignore_index=True)
    if experiment.judge(samples, prediction).extend:
        print(f"Still inconclusive after {plural(most, 'repetition')}.")
    return samples
