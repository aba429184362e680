"""Passive health check: what a dead replica may cost, and what a hanging one must."""

import pandas as pd
import pytest

from labs.experiments.phase3 import health_check
from labs.experiments.phase3.health_check import DEAD, HANGING, TIMED_OUT
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase3 import balancing_frames

PREDICTION = balancing_frames.health_check_prediction()
FRAME = balancing_frames.health_check_samples


def judge(samples: pd.DataFrame) -> Verdict:
    return health_check.judge(samples, PREDICTION)


def test_the_bound_counts_attempts_under_way_and_later_tries() -> None:
    table = health_check.predict(replicas=4, max_fails=3, fail_timeout=2, rate=40, read_timeout=2)
    dead, hanging, timed_out = table.to_dict("records")
    assert (dead["failed"], dead["every"], dead["waits"]) == (3 + 3, 2, 0)
    assert (hanging["failed"], hanging["waits"]) == (0, pytest.approx(0.25))
    assert (timed_out["failed"], timed_out["waits"], timed_out["longest"]) == (3 + 20, 0, 2)


def test_the_predicted_behaviour_passes() -> None:
    verdict = judge(FRAME())
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    dead, hanging, timed_out = (case["attempts"][0] for case in verdict.details["cases"])
    assert timed_out["longest"] == pytest.approx(1)
    assert dead["failed"] == 2 + 2
    assert dead["again"] == pytest.approx(1, abs=0.1)
    assert dead["back"] == pytest.approx(0, abs=0.1)
    assert hanging["waits"] == pytest.approx(1 / 3, abs=0.03)


def test_attempts_beyond_the_bound_fail() -> None:
    assert judge(FRAME(failed=8)).outcome is Outcome.PASS
    verdict = judge(FRAME(failed=9))
    assert verdict.reasons == ("dead: more attempts failed than allowed",)
    assert verdict.outcome is Outcome.FAIL


def test_a_dead_replica_that_is_never_tried_again_fails() -> None:
    verdict = judge(FRAME(every=100))
    assert verdict.reasons == ("dead: the replica was not tried again in time",)


def test_a_replica_that_gets_nothing_after_its_healing_fails() -> None:
    verdict = judge(FRAME(back=100))
    assert verdict.reasons == ("dead: the replica got no requests after its healing",)


def test_a_read_timeout_that_has_no_effect_fails() -> None:
    ignored = FRAME()
    hang = ignored[ignored["fault"] == HANGING].assign(fault=TIMED_OUT)
    verdict = judge(pd.concat([ignored[ignored["fault"] != TIMED_OUT], hang], ignore_index=True))
    assert verdict.reasons == (
        "hanging, read timeout: another share of the requests waited than predicted",
    )


def test_a_client_that_waits_longer_than_the_read_timeout_is_in_doubt() -> None:
    verdict = judge(FRAME(waits=1.6))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons == ("hanging, read timeout: a client waited longer than predicted",)


def test_a_client_without_an_answer_fails() -> None:
    assert judge(FRAME().assign(lost=1)).outcome is Outcome.FAIL


def test_a_hang_that_fails_attempts_or_delays_none_fails() -> None:
    failed = FRAME()
    failed.loc[failed[failed["fault"] == HANGING].index[50], "failed"] = 1
    assert judge(failed).outcome is Outcome.FAIL
    undelayed = FRAME()
    undelayed.loc[undelayed["fault"] == HANGING, "latency"] = 0.003
    assert judge(undelayed).outcome is Outcome.FAIL


def test_a_fault_that_never_hit_is_inconclusive() -> None:
    assert judge(FRAME(failed=0, back=0)).outcome is Outcome.INCONCLUSIVE
    short = FRAME()
    short.loc[short["fault"] == DEAD, "ended"] -= 2.7
    short.loc[short["fault"] == DEAD, "replica"] = "api-gateway-3"
    assert judge(short).outcome is Outcome.INCONCLUSIVE


def test_an_attempt_whose_generator_lagged_is_set_aside() -> None:
    lagged = FRAME(failed=20).assign(lag=0.3)
    assert judge(lagged).outcome is Outcome.INCONCLUSIVE
    dead, *_ = judge(lagged).details["cases"]
    assert len(dead["attempts"]) == 1  # the record keeps what was seen all the same
    both = pd.concat([lagged, FRAME().assign(attempt=2)], ignore_index=True)
    assert judge(both).outcome is Outcome.PASS


def test_the_figure_calls_the_bound_a_bound() -> None:
    figure = health_check.plot(FRAME(), PREDICTION)
    assert "bound" in [text.get_text() for text in figure.axes[0].texts]
    assert "bound" in figure.axes[1].get_legend_handles_labels()[1]


def test_the_title_compares_the_hang_with_and_without_a_read_timeout() -> None:
    title = health_check.plot(FRAME(), PREDICTION).texts[0].get_text()
    assert title == "A hang kept 33% waiting; with a read timeout none waited longer than 1.0 s"
