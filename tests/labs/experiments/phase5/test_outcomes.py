"""Outcomes: one order that ends otherwise than the coin says fails; what the coin did not decide is in doubt."""

import pandas as pd
import pytest

from labs.experiments.phase5 import outcomes
from labs.experiments.phase5.names import COMPLETED, DEADLINE, INVENTORY_FAILED, PAYMENT_FAILED
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase5 import frames

PREDICTION = frames.outcomes_prediction()


def changed(expected: str, **values: object) -> pd.DataFrame:
    """The first order of this outcome, with other values."""
    samples = frames.outcomes_samples()
    row = samples.index[samples["outcome"] == expected][0]
    for column, value in values.items():
        samples.loc[row, column] = value
    return samples


def judge(samples: pd.DataFrame) -> Verdict:
    return outcomes.judge(samples, PREDICTION)


def test_the_coin_gives_the_known_counts_for_two_thousand_orders() -> None:
    counts = outcomes.shares(outcomes.predict(orders=2000, replicas=[1]))
    assert counts.loc[1].to_dict() == {
        COMPLETED: 1115,
        PAYMENT_FAILED: 602,
        INVENTORY_FAILED: 283,
    }


def test_the_shares_in_the_long_run_are_all_orders() -> None:
    assert sum(outcomes.SHARES.values()) == pytest.approx(1)
    assert sum(outcomes.ORIGINAL.values()) > 1


def test_every_order_as_predicted_passes() -> None:
    assert judge(frames.outcomes_samples()).outcome is Outcome.PASS


@pytest.mark.parametrize("outcome", [COMPLETED, PAYMENT_FAILED, INVENTORY_FAILED])
def test_one_order_with_another_outcome_fails(outcome: str) -> None:
    other = PAYMENT_FAILED if outcome == COMPLETED else COMPLETED
    verdict = judge(changed(outcome, outcome=other))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"1 replica, {outcome}: orders ended otherwise than the coin says",)


def test_an_order_with_another_id_fails() -> None:
    assert judge(changed(COMPLETED, order="random")).outcome is Outcome.FAIL


def test_an_accepted_order_that_is_not_there_fails() -> None:
    assert judge(changed(COMPLETED, outcome="missing")).outcome is Outcome.FAIL


def test_a_cancel_at_rest_without_its_event_fails() -> None:
    assert judge(changed(COMPLETED, outcome="cancelled")).outcome is Outcome.FAIL
    moving = changed(COMPLETED, outcome="cancelled", resting=False)
    assert judge(moving).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("values", "reason", "again"),
    [
        ({"outcome": DEADLINE}, "a deadline ended orders although every service ran", False),
        ({"outcome": "pending"}, "not every order had ended in time", True),
        ({"resting": False}, "not every order had ended in time", True),
        ({"order": "", "outcome": "missing"}, "not every order was acknowledged", True),
        ({"shelf": 199}, "the shelf held fewer items than there were orders", False),
    ],
)
def test_what_the_coin_did_not_decide_is_in_doubt(
    values: dict[str, object], reason: str, again: bool
) -> None:
    verdict = judge(changed(COMPLETED, **values))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons == (f"1 replica, completed: {reason}",)
    assert verdict.extend is again


def test_few_orders_prove_little() -> None:
    few = outcomes.predict(orders=30)
    samples = few.assign(shelf=1000, resting=True, runtime="process", attempt=1)
    assert outcomes.judge(samples, few).outcome is Outcome.INCONCLUSIVE


def test_a_shelf_that_was_too_small_excuses_a_failed_reservation() -> None:
    samples = changed(COMPLETED, outcome=INVENTORY_FAILED)
    samples["shelf"] = 10
    assert judge(samples).outcome is Outcome.INCONCLUSIVE


def test_an_order_that_was_not_measured_is_in_doubt() -> None:
    assert judge(frames.outcomes_samples().iloc[1:]).outcome is Outcome.INCONCLUSIVE


def test_the_latest_attempt_counts() -> None:
    first = changed(COMPLETED, outcome="pending")
    both = pd.concat([first, frames.outcomes_samples().assign(attempt=2)], ignore_index=True)
    assert judge(both).outcome is Outcome.PASS


def test_the_figure_counts_the_orders_that_the_coin_decided() -> None:
    figure = outcomes.plot(changed(COMPLETED, outcome=DEADLINE), PREDICTION)
    assert figure.texts[0].get_text() == "399 of 400 orders ended as the coin says"
