"""A wrong service in a running system, and the verdict that must fail because of it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from environment import Environment
from labs.evidence import find_evidence
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
    waits: Mapping[str, float] = MappingProxyType({})
    """Limits of the experiment, by their names, for waits that are in vain with this mutant (s)."""
    shown: str = ""
    """What the order is that the verdict's evidence shows; empty where this is left open."""


def assert_it_fails(mutant: str, wrong: Wrong, env: Environment) -> None:
    """Run the service with the mutant for one experiment, whose verdict must fail and name the reason."""
    experiment = find(wrong.experiment)
    prediction = experiment.predict(**wrong.prediction)
    env.configure(wrong.service, MUTANT=mutant)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, seconds in wrong.waits.items():
                patch.setattr(experiment, name, seconds)
            samples = until_conclusive(experiment, prediction, env, **wrong.settings)
    finally:
        env.configure(wrong.service, MUTANT=NONE)
    verdict = experiment.judge(samples, prediction)
    assert verdict.outcome is Outcome.FAIL
    assert wrong.because in verdict.reasons
    if wrong.shown:
        evidence = find_evidence(env, experiment, samples, prediction)
        assert evidence
        assert wrong.shown in evidence.counterexample.text
        assert set(samples["order"]) >= {evidence.counterexample.name}
        lines = " ".join(evidence.trail["line"])
        assert "request method=POST path=/orders" in lines
        assert "published OrderCreated" in lines
