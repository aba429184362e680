"""Independence: what passes, what fails, and what is in doubt."""

import pandas as pd
import pytest

from labs.experiments.phase0 import independence
from labs.experiments.phase0.independence import classify
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase0 import frames
from tests.labs.experiments.phase0.frames import answered, failing

PREDICTION = frames.independence_prediction()


def judge(samples: pd.DataFrame) -> Verdict:
    return independence.judge(samples, PREDICTION)


def test_an_endpoint_needs_its_service_and_those_it_waits_for() -> None:
    inside = PREDICTION.set_index("endpoint")["inside"].to_dict()
    assert inside == {"GET /users": 1, "GET /orders": 1, "POST /pay": 0, "POST /orders": 0}
    guess = independence.predict("payment-service", calls={}, work_seconds=2)
    assert guess.set_index("endpoint")["inside"]["POST /orders"] == 1
    assert guess.set_index("endpoint")["exposed"]["POST /pay"] == 2


def test_the_system_as_predicted_passes() -> None:
    verdict = judge(frames.independence_samples())
    assert verdict.outcome is Outcome.PASS
    assert verdict.details["endpoints"]["POST /pay"]["failed_during"] > 20


def test_the_natural_guess_fails_on_the_same_samples() -> None:
    guess = independence.predict("payment-service", calls={}, work_seconds=0.1)
    verdict = independence.judge(frames.independence_samples(), guess)
    assert verdict.outcome is Outcome.FAIL
    assert "POST /orders" in verdict.reasons[0]


@pytest.mark.parametrize("since", [1.0, 3.1, 6.0, 8.0])
@pytest.mark.parametrize("endpoint", ["GET /users", "GET /orders"])
def test_one_lost_get_fails_whenever_it_was(endpoint: str, since: float) -> None:
    verdict = judge(failing(frames.independence_samples(), endpoint, since=since))
    assert verdict.outcome is Outcome.FAIL
    assert endpoint in verdict.reasons[0]


@pytest.mark.parametrize("since", [1.0, 6.4, 8.0])
def test_a_payment_lost_outside_the_window_fails(since: float) -> None:
    assert (
        judge(failing(frames.independence_samples(), "POST /pay", since=since)).outcome
        is Outcome.FAIL
    )


def test_a_request_in_flight_at_the_kill_belongs_to_the_fault() -> None:
    samples = frames.independence_samples()
    pays = samples[samples["stream"] == "POST /pay"]
    last = pays[pays["intended"] < frames.KILLED].tail(1).index
    assert classify(samples, PREDICTION).loc[last, "when"].item() == "during"
    samples.loc[last, "latency"] = 0.001
    assert classify(samples, PREDICTION).loc[last, "when"].item() == "before"


def test_a_request_that_hung_long_before_the_kill_fails() -> None:
    samples = failing(frames.independence_samples(), "POST /pay", since=1.0)
    samples.loc[~samples["ok"] & (samples["status"] == 500), "latency"] = 4.0
    assert judge(samples).outcome is Outcome.FAIL


def test_orders_that_go_on_without_payment_contradict_the_theory() -> None:
    verdict = judge(answered(frames.independence_samples(), "POST /orders"))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (
        "POST /orders: every request was answered while the service was down",
    )


def test_a_fault_that_never_hit_is_inconclusive() -> None:
    verdict = judge(answered(frames.independence_samples(), "POST /pay", "POST /orders"))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert (
        "POST /pay: the fault never hit: the killed service answered every request"
        in verdict.reasons
    )
    assert verdict.extend


@pytest.mark.parametrize(("low", "high"), [(0, 2.5), (3.2, 6.4), (6.5, 11)])
def test_too_few_requests_on_one_side_are_inconclusive(low: float, high: float) -> None:
    samples = frames.independence_samples()
    cut = samples[
        (samples["intended"] - frames.BEGAN).between(low, high) & (samples["stream"] == "POST /pay")
    ]
    verdict = judge(samples.drop(cut.index))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "POST /pay: too few requests" in verdict.reasons[0]


def test_an_attempt_whose_generator_lagged_is_set_aside() -> None:
    lagged = failing(frames.independence_samples(), "GET /users", since=1.0).assign(lag=0.3)
    assert judge(lagged).outcome is Outcome.INCONCLUSIVE
    good = frames.independence_samples().assign(attempt=2)
    verdict = judge(pd.concat([lagged, good], ignore_index=True))
    assert verdict.outcome is Outcome.PASS
    assert verdict.details["counted"].startswith(f"{len(good)} of {2 * len(good)} counted")


def test_the_figure_shows_each_endpoint_and_names_those_that_lost_requests() -> None:
    figure = independence.plot(frames.independence_samples(), PREDICTION)
    assert "POST /pay and POST /orders lost requests" in figure.texts[0].get_text()
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(PREDICTION["endpoint"])
