"""Distribution: exact counts, and each way of missing them."""

import pandas as pd
import pytest

from labs.experiments.phase3 import distribution
from labs.experiments.phase3.distribution import CLIENTS, TURNS, WEIGHTS, jain
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase3 import balancing_frames

PREDICTION = balancing_frames.distribution_prediction()


def judge(samples: pd.DataFrame) -> Verdict:
    return distribution.judge(samples, PREDICTION)


def test_turns_are_equal_and_weights_in_proportion() -> None:
    by_case = PREDICTION.groupby("case")["requests"].apply(list)
    assert by_case[TURNS] == [20, 20, 20]
    assert by_case[WEIGHTS] == [30, 20, 10]


def test_one_subnet_is_predicted_on_one_replica() -> None:
    table = distribution.predict([1] * 3, balancing_frames.CLIENTS, requests=60)
    replicas = table[table["case"] == CLIENTS].set_index("client")["replica"]
    assert replicas["10.0.1.1"] == replicas["10.0.1.99"]
    assert replicas.nunique() == 3


def test_jains_index_is_1_for_equal_counts() -> None:
    assert jain(pd.Series([7, 7, 7])) == pytest.approx(1)
    assert jain(pd.Series([21, 0, 0])) == pytest.approx(1 / 3)


def test_the_predicted_counts_pass_also_over_two_attempts() -> None:
    samples = balancing_frames.distribution_samples()
    assert judge(samples).outcome is Outcome.PASS
    both = pd.concat([samples, samples.assign(attempt=2)], ignore_index=True)
    assert judge(both).outcome is Outcome.PASS


@pytest.mark.parametrize("case", [TURNS, WEIGHTS, CLIENTS])
def test_one_request_that_went_elsewhere_fails_its_case_alone(case: str) -> None:
    samples = balancing_frames.distribution_samples()
    one = samples[samples["case"] == case].index[0]
    samples.loc[one, "replica"] = samples.loc[one, "replica"] % 3 + 1
    verdict = judge(samples)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"{case}: not as predicted",)


def test_a_client_that_changes_its_replica_fails() -> None:
    samples = balancing_frames.distribution_samples()
    hashed = samples[samples["case"] == CLIENTS]
    first = hashed[hashed["replica"] == hashed["replica"].iloc[0]].index[0]
    other = hashed[hashed["replica"] != hashed["replica"].iloc[0]].index[0]
    swapped = samples.loc[[other, first], "replica"].to_list()
    samples.loc[[first, other], "replica"] = swapped
    assert judge(samples).outcome is Outcome.FAIL


def test_an_unanswered_request_fails() -> None:
    samples = balancing_frames.distribution_samples()
    samples.loc[0, "replica"] = 0
    assert judge(samples).reasons == (f"{TURNS}: not every request was answered",)


def test_too_few_requests_are_inconclusive() -> None:
    verdict = judge(balancing_frames.distribution_samples().groupby("case").head(20))
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_the_title_names_the_shares_of_the_run() -> None:
    figure = distribution.plot(balancing_frames.distribution_samples(), PREDICTION)
    assert "33% by turns and 50% by ip_hash" in figure.texts[0].get_text()
    assert "predicted" in figure.axes[0].get_legend_handles_labels()[1]


def test_two_clients_of_one_network_are_drawn_at_one_replica_in_one_colour() -> None:
    ax = distribution.plot(balancing_frames.distribution_samples(), PREDICTION).axes[-1]
    bars = dict(zip([text.get_text() for text in ax.texts], ax.patches[3:], strict=True))
    assert set(bars) == set(balancing_frames.CLIENTS)
    first, second, other = (bars[client] for client in ("10.0.1.1", "10.0.1.99", "10.0.2.1"))
    assert first.get_facecolor() == second.get_facecolor() != other.get_facecolor()
    assert first.get_y() == second.get_y()  # type: ignore[attr-defined]
