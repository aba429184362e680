"""Rate limit: exact from the client's own clock, whatever the machine does."""

import pandas as pd
import pytest

from labs.experiments.phase1 import rate_limit
from labs.experiments.phase1.rate_limit import FIXED, MOVING, most_admitted
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase1 import gateway_frames
from tests.labs.experiments.phase1.gateway_frames import (
    FIXED_ADMITS,
    MOVING_ADMITS,
    rate_limit_samples,
)

PREDICTION = gateway_frames.rate_limit_prediction()


def judge(samples: pd.DataFrame) -> Verdict:
    return rate_limit.judge(samples, PREDICTION)


def test_a_fixed_window_is_predicted_to_admit_nearly_twice_its_limit() -> None:
    assert PREDICTION.set_index("window")["most"].to_dict() == {MOVING: 5, FIXED: 9}
    assert rate_limit.predict(limit=1)["most"].to_list() == [1, 1]


def test_both_windows_as_predicted_pass() -> None:
    verdict = judge(rate_limit_samples())
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    assert verdict.details[FIXED]["most"] == 9


def test_one_more_than_the_limit_fails() -> None:
    verdict = judge(rate_limit_samples(MOVING_ADMITS | {22}, FIXED_ADMITS | {26}))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (
        "moving window: it admitted more than predicted",
        "fixed window: it admitted more than predicted",
    )


def test_a_window_that_admits_every_request_fails() -> None:
    every = set(range(41))
    assert judge(rate_limit_samples(every, every)).outcome is Outcome.FAIL


def test_a_limit_of_four_refuses_with_room() -> None:
    verdict = judge(rate_limit_samples(MOVING_ADMITS - {4}, FIXED_ADMITS - {4, 25}))
    assert verdict.outcome is Outcome.FAIL
    assert "moving window: it refused a request it had room for" in verdict.reasons
    assert "fixed window: it refused a request it had room for" in verdict.reasons


def test_a_moving_window_named_fixed_fails() -> None:
    verdict = judge(rate_limit_samples(MOVING_ADMITS, MOVING_ADMITS))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == ("fixed window: it refused a request it had room for",)


def test_a_fixed_window_named_moving_fails() -> None:
    assert judge(rate_limit_samples(FIXED_ADMITS, FIXED_ADMITS)).outcome is Outcome.FAIL


@pytest.mark.parametrize("status", [500, 503])
def test_an_answer_that_is_neither_fails(status: int) -> None:
    samples = rate_limit_samples()
    samples.loc[10, "status"] = status
    assert judge(samples).outcome is Outcome.FAIL


def test_a_client_held_up_until_the_window_was_over_is_inconclusive() -> None:
    late = rate_limit_samples({0, 1, 2, 3, 4, 5}, {0, 1, 2, 3, 4, 5}, late=0.5)
    verdict = judge(late)
    assert verdict.reasons == ("fixed window: the requests never came close enough to fill it",)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.extend
    good = rate_limit_samples().assign(attempt=2)
    assert judge(pd.concat([late, good], ignore_index=True)).outcome is Outcome.PASS


def test_a_stall_at_the_edge_never_counts_as_one_span() -> None:
    """The decision on the sixth may have been made after the first had left the window."""
    part = rate_limit_samples().query("window == @MOVING")
    part.loc[part["status"] == 200, "ended"] += 0.3
    assert most_admitted(part, gateway_frames.WINDOW_SECONDS) <= 5
