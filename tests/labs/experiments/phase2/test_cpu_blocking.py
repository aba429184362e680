"""CPU-bound blocking: delays against what was ahead of them, and what the machine may have done."""

import pandas as pd
import pytest

from labs.experiments.phase2 import cpu_blocking
from labs.experiments.phase2.delays import fair_stretch, stretch
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase2 import blocking_frames as frames

PREDICTION = frames.cpu_blocking_prediction()


def judge(samples: pd.DataFrame) -> Verdict:
    return cpu_blocking.judge(samples, PREDICTION)


def bystander(samples: pd.DataFrame, *, computations: int, replicas: int) -> "pd.Series[bool]":
    return (
        (samples["request"] == "bystander")
        & (samples["computations"] == computations)
        & (samples["replicas"] == replicas)
    )


def test_a_bystander_waits_for_its_share_of_the_computations() -> None:
    rows = cpu_blocking.predict(
        [0, 2, 3, 18], replicas=[1, 3], seconds=3, unloaded=0.1, cores=4
    ).set_index(["replicas", "computations"])
    assert rows.loc[(1, 18), "high"] == pytest.approx(54.1)
    assert rows.loc[(3, 2), "high"] == pytest.approx(0.1)
    assert rows.loc[(3, 3), "high"] == pytest.approx(3.1)
    assert rows["ahead"].tolist() == [0, 2, 3, 18, 0, 0, 1, 6]


@pytest.mark.parametrize(
    ("busy", "cores", "expected"),
    [
        (1, 2, (1, 1)),
        (2, 2, (1, 1)),
        (3, 2, (1, 2)),
        (4, 2, (2, 2)),
        (5, 2, (2, 3)),
        (3, 8, (1, 1)),
    ],
)
def test_a_core_holds_its_share_rounded_down_or_up(
    busy: int, cores: int, expected: tuple[float, float]
) -> None:
    assert stretch(busy, cores) == expected


@pytest.mark.parametrize(("busy", "f"), [(1, 1.0), (2, 1.0), (3, 1.5), (4, 2.0), (5, 2.5)])
def test_cores_that_are_shared_equally_stretch_by_n_over_c(busy: int, f: float) -> None:
    assert fair_stretch(busy, 2) == f
    low, high = stretch(busy, 2)
    assert low <= f <= high


@pytest.mark.parametrize("f", [1.0, 1.15])
def test_delays_within_the_range_pass(f: float) -> None:
    verdict = judge(frames.cpu_blocking_samples(f=f))
    assert verdict.outcome is Outcome.PASS, verdict.reasons


def test_bystanders_that_do_not_wait_fail_on_busy_machines_too() -> None:
    samples = frames.cpu_blocking_samples(others=5)
    samples.loc[samples["request"] == "bystander", "latency"] = 0.01
    verdict = judge(samples)
    assert verdict.outcome is Outcome.FAIL
    assert "1 computation, 1 replica: the bystander waited less than predicted" in verdict.reasons


def test_one_busy_replica_that_blocks_the_others_fails() -> None:
    samples = frames.cpu_blocking_samples()
    samples.loc[bystander(samples, computations=2, replicas=3), "latency"] = 0.3
    verdict = judge(samples)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (
        "2 computations, 3 replicas: the bystander waited longer than predicted",
    )


def test_computations_that_take_longer_on_free_cores_fail() -> None:
    assert judge(frames.cpu_blocking_samples(f=1.6)).outcome is Outcome.FAIL


def test_computations_that_others_stretched_are_compared_by_their_own_time() -> None:
    verdict = judge(frames.cpu_blocking_samples(f=1.6, others=2.0))
    assert verdict.outcome is Outcome.PASS, verdict.reasons


@pytest.mark.parametrize("others", [0.01, 2.0])
def test_computations_shorter_than_their_cpu_time_fail(others: float) -> None:
    verdict = judge(frames.cpu_blocking_samples(f=0.6, others=others))
    assert "the computations took less time than predicted" in verdict.reasons[0]


@pytest.mark.parametrize("f", [1.0, 1.6])
def test_a_bystander_that_waits_longer_fails_on_free_cores_only(f: float) -> None:
    for others, outcome in ((0.01, Outcome.FAIL), (2.0, Outcome.INCONCLUSIVE)):
        samples = frames.cpu_blocking_samples(f=f, others=others)
        samples.loc[bystander(samples, computations=4, replicas=1), "latency"] += 0.4
        verdict = judge(samples)
        assert verdict.outcome is outcome
        assert verdict.extend is (outcome is Outcome.INCONCLUSIVE)


@pytest.mark.parametrize("others", [0.01, 2.0])
def test_a_bystander_ahead_of_stretched_computations_fails(others: float) -> None:
    samples = frames.cpu_blocking_samples(f=1.6, others=others)
    samples.loc[bystander(samples, computations=4, replicas=1), "latency"] = 4 * 0.3
    verdict = judge(samples)
    assert verdict.outcome is Outcome.FAIL
    assert "4 computations, 1 replica: the bystander waited less than predicted" in verdict.reasons


def test_half_of_a_case_counts_and_at_least_two() -> None:
    samples = frames.cpu_blocking_samples(rounds=3)
    behind_four = (samples["computations"] == 4) & (samples["replicas"] == 1)
    trials = sorted(set(samples[behind_four]["trial"]))
    for excluded, outcome in ((1, Outcome.PASS), (2, Outcome.INCONCLUSIVE)):
        lost = samples["trial"].isin(trials[:excluded]) & behind_four
        verdict = judge(samples.assign(received=samples["received"].mask(lost)))
        assert verdict.outcome is outcome
        counted = verdict.details["cases"][3]["counted"]
        assert counted.startswith(f"{3 - excluded} of 3 counted (set aside: nginx's log")


@pytest.mark.parametrize("received", [0.0, 0.0115])
def test_a_bystander_that_came_too_early_is_no_evidence(received: float) -> None:
    samples = frames.cpu_blocking_samples()
    late = (samples["request"] == "computation") & (samples["number"] == 0)
    samples.loc[late, "received"] = samples["sent"] + 0.001 + 0.02 - received
    verdict = judge(samples)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "nginx's log shows another order of the requests" in verdict.reasons[0]


def test_a_bystander_that_went_to_another_replica_is_no_evidence() -> None:
    samples = frames.cpu_blocking_samples()
    samples.loc[bystander(samples, computations=4, replicas=3), "replica"] = "api-gateway-1"
    assert judge(samples).outcome is Outcome.INCONCLUSIVE


def test_a_log_that_does_not_match_is_no_evidence() -> None:
    unknown = frames.cpu_blocking_samples().assign(received=float("nan"), replica="")
    assert judge(unknown).outcome is Outcome.INCONCLUSIVE


def test_a_request_without_an_answer_fails() -> None:
    samples = frames.cpu_blocking_samples()
    samples.loc[bystander(samples, computations=4, replicas=1), "status"] = 504
    assert "not every request was answered" in judge(samples).reasons[0]


def test_the_figure_marks_what_was_set_aside_and_says_why() -> None:
    samples = frames.cpu_blocking_samples()
    early = (samples["trial"] == 1) & (samples["request"] == "computation")
    samples.loc[early, "received"] += 1
    figure = cpu_blocking.plot(samples, PREDICTION)
    assert "15 of 16 counted (set aside: nginx's log" in figure.get_supxlabel()
    labels = {text.get_text() for text in figure.legends[0].get_texts()}
    assert {"1 replica", "3 replicas", "end of those ahead", "set aside"} <= labels
