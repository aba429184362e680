"""Canary: how it is decided, what passes, what fails, and what is inconclusive."""

import pandas as pd
import pytest

from labs.experiments.phase3 import canary
from labs.experiments.phase3.sampling_plan import PROMOTED, WITHDRAWN, at_most, decide
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase3 import release_frames

FRAME = release_frames.canary_release
PREDICTION = release_frames.canary_prediction()


def judge(samples: pd.DataFrame) -> Verdict:
    return canary.judge(samples, PREDICTION)


def test_a_sampling_plan_has_binomial_probabilities() -> None:
    assert at_most(2, of=20, p=0.5) == pytest.approx(211 / 2**20)
    assert at_most(3, of=3, p=0.7) == pytest.approx(1)
    assert at_most(-1, of=3, p=0.7) == 0


def test_the_likelier_decision_and_the_share_that_pays_are_predicted() -> None:
    table = canary.predict({"good": 0.0, "bad": 0.5}, weights=(9, 9, 2)).set_index("case")
    on_trial = table[table["step"] == "canary"]
    assert on_trial["decision"].to_dict() == {"good": PROMOTED, "bad": WITHDRAWN}
    assert on_trial["share"].tolist() == [0.1, 0.1]
    assert on_trial["failed"].to_dict() == {"good": 0, "bad": 0.05}


def test_the_canary_takes_over_in_one_stage_per_replica() -> None:
    table = canary.predict({"good": 0.0}, weights=(2, 2, 1))
    assert table[table["step"] == "decided"]["share"].tolist() == pytest.approx([1 / 3, 1])


def test_the_allowed_errors_are_promoted_and_no_more() -> None:
    assert (decide(2, 2), decide(3, 2)) == (PROMOTED, WITHDRAWN)


def test_a_promoted_good_and_a_withdrawn_bad_version_pass() -> None:
    verdict = judge(FRAME())
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    bad = verdict.details["cases"][0]["attempts"][0]
    assert (bad["failed"], bad["failed_elsewhere"]) == (30, 0)


def test_a_promoted_bad_or_withdrawn_good_version_fails() -> None:
    for case, decision in (("bad", PROMOTED), ("good", WITHDRAWN)):
        samples = FRAME()
        samples.loc[samples["case"] == case, "decision"] = decision
        verdict = judge(samples)
        assert verdict.outcome is Outcome.FAIL
        assert f"{case}: {decision}, against the plan" in verdict.reasons


def test_more_errors_than_the_canarys_share_fail() -> None:
    verdict = judge(FRAME(every=1))
    assert verdict.reasons == ("bad: more POSTs failed than the canary's share brings",)


def test_a_post_that_fails_elsewhere_fails() -> None:
    for case, reason in (
        ("bad", "bad: a POST failed that the canary had not served"),
        ("good", "good: version 1: a POST failed"),
    ):
        samples = FRAME()
        first = samples[samples["case"] == case].index[3]
        samples.loc[first, ["ok", "status", "created"]] = [False, 502, 0]
        assert judge(samples).reasons == (reason,)


def test_a_canary_that_meets_half_of_the_clients_fails() -> None:
    samples = FRAME()
    on_trial = samples[(samples["step"] == "canary") & (samples["case"] == "good")].index
    samples.loc[on_trial[::2], "version"] = "2"
    verdict = judge(samples)
    assert verdict.reasons == (
        "good: another share of the requests met the canary than its weight's",
    )


def test_a_version_that_answers_after_its_roll_back_fails() -> None:
    samples = FRAME()
    last = samples[samples["case"] == "bad"].index[-30:]
    samples.loc[last, "version"] = "2"
    assert "bad: after: the other version answered, too" in judge(samples).reasons


def test_a_fault_or_answers_that_never_came_are_inconclusive() -> None:
    unhurt = FRAME()
    unhurt.loc[unhurt["case"] == "bad", ["ok", "status", "created", "errors"]] = [True, 201, 1, 0]
    assert judge(unhurt).reasons == ("bad: the fault never hit",)
    late = judge(FRAME().assign(answers=7))
    assert late.outcome is Outcome.INCONCLUSIVE


def test_a_version_between_good_and_bad_is_inconclusive() -> None:
    vague = canary.predict({"bad": 0.1, "good": 0.0})
    verdict = canary.judge(FRAME(every=10), vague)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons == ("bad: the plan leaves the decision to chance",)


def test_the_figure_names_both_decisions() -> None:
    figure = canary.plot(FRAME(), PREDICTION)
    titles = [figure.axes[at].get_title(loc="left") for at in (0, 2)]
    assert [title.split()[-1] for title in titles] == ["back", "promoted"]


def test_an_attempt_on_a_busy_machine_shows_nothing() -> None:
    slow = FRAME(every=1)
    slow.loc[slow.index % 5 == 0, "latency"] = 1.4
    verdict = judge(slow)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "too busy" in verdict.reasons[0]
    both = pd.concat([slow, FRAME().assign(attempt=2)], ignore_index=True)
    assert judge(both).outcome is Outcome.PASS
