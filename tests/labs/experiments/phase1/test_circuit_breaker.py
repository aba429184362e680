"""Circuit breaker: what passes, what fails, and what is in doubt."""

import pandas as pd
import pytest

from labs.experiments.phase1 import circuit_breaker
from labs.experiments.phase1.circuit_breaker import (
    AFTER,
    FAILURES,
    OPEN,
    REFUSALS,
    WAITING,
    WRONG,
    count,
)
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase1 import gateway_frames
from tests.labs.experiments.phase1.gateway_frames import circuit_breaker_samples

PREDICTION = gateway_frames.circuit_breaker_prediction()


def judge(samples: pd.DataFrame) -> Verdict:
    return circuit_breaker.judge(samples, PREDICTION)


def test_the_breaker_as_predicted_passes() -> None:
    verdict = judge(circuit_breaker_samples())
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    assert verdict.details["calls"] == {REFUSALS: 100, FAILURES: 3, OPEN: 0, WAITING: 1, AFTER: 3}


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        ({"refused": 3}, REFUSALS),
        ({"opens_after": 2}, FAILURES),
        ({"opens_after": 4}, FAILURES),
        ({"leaks": 1}, OPEN),
        ({"probes": 50}, WAITING),
        ({"probes": 2}, WAITING),
        ({"probes": 0}, WAITING),
    ],
)
def test_one_call_too_many_or_too_few_fails(wrong: dict[str, int], part: str) -> None:
    verdict = judge(circuit_breaker_samples(**wrong))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"{part}: {WRONG[part]}",)


def test_a_breaker_that_opened_before_the_first_failure_fails() -> None:
    verdict = judge(circuit_breaker_samples(refused=3, opens_after=0))
    assert verdict.outcome is Outcome.FAIL
    assert f"{FAILURES}: {WRONG[FAILURES]}" in verdict.reasons


def test_a_breaker_that_never_opens_fails() -> None:
    verdict = judge(circuit_breaker_samples(opens_after=20, probes=50))
    assert verdict.reasons == (
        f"{FAILURES}: {WRONG[FAILURES]}",
        f"{WAITING}: {WRONG[WAITING]}",
    )


def test_a_breaker_that_stays_open_after_its_probe_fails() -> None:
    samples = circuit_breaker_samples()
    after = samples["part"] == AFTER
    samples.loc[after, "calls"] = samples.loc[~after, "calls"].max()
    assert judge(samples).reasons == (f"{AFTER}: {WRONG[AFTER]}",)


def test_the_threshold_is_the_predictions() -> None:
    five = circuit_breaker.predict(failures=5)
    assert (
        circuit_breaker.judge(circuit_breaker_samples(opens_after=5), five).outcome is Outcome.PASS
    )


def test_a_request_after_the_open_time_may_be_a_probe() -> None:
    samples = circuit_breaker_samples(leaks=1)
    late = (samples["part"] == FAILURES) & (samples.groupby("part").cumcount() >= 5)
    samples.loc[late, ["sent", "ended"]] += 1.0
    assert count(samples)[OPEN] == 0
    verdict = judge(samples)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons == ("open: too few requests while the breaker was open",)


def test_requests_that_came_after_the_probe_are_inconclusive() -> None:
    samples = circuit_breaker_samples(probes=2)
    samples.loc[samples["part"] == WAITING, "sent"] += pd.Series(
        {index: 0.05 * (index - 120) for index in range(120, 170)}
    )
    verdict = judge(samples)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    good = circuit_breaker_samples().assign(attempt=2)
    assert judge(pd.concat([samples, good], ignore_index=True)).outcome is Outcome.PASS


@pytest.mark.parametrize("part", [REFUSALS, FAILURES])
def test_a_fault_that_never_hit_is_inconclusive(part: str) -> None:
    samples = circuit_breaker_samples()
    samples.loc[samples["part"] == part, "status"] = 200
    verdict = judge(samples)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "the fault never hit" in verdict.reasons[0]


def test_the_figure_has_state_responses_and_calls() -> None:
    figure = circuit_breaker.plot(circuit_breaker_samples(), PREDICTION)
    assert len(figure.axes) == 3
