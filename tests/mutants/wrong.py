"""A wrong service in a running system, and the verdict that must fail because of it."""

from typing import Any, NamedTuple

from environment import Environment
from labs.experiment import find, until_conclusive
from labs.verdicts import Outcome
from tests.mutants.chosen import NONE


class Wrong(NamedTuple):
    """A service with a mutant, the experiment that must see it, and a reason that its verdict must name."""

    service: str
    experiment: str
    because: str
    prediction: dict[str, Any]
    """Keyword arguments of `predict`, and those of `measure`."""
    settings: dict[str, Any]


def assert_it_fails(mutant: str, wrong: Wrong, env: Environment) -> None:
    """Run the service with the mutant for one experiment, whose verdict must fail and name the reason."""
    experiment = find(wrong.experiment)
    prediction = experiment.predict(**wrong.prediction)
    env.configure(wrong.service, MUTANT=mutant)
    try:
        samples = until_conclusive(experiment, prediction, env, **wrong.settings)
    finally:
        env.configure(wrong.service, MUTANT=NONE)
    verdict = experiment.judge(samples, prediction)
    assert verdict.outcome is Outcome.FAIL
    assert wrong.because in verdict.reasons
