"""What may be given up: a dead letter of a compensation fails; a wait that was not seen proves nothing."""

import pandas as pd
import pytest

from labs.experiments.phase5 import coin, give_up
from labs.experiments.phase5.states import States
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase5 import frames

PREDICTION = frames.give_up_prediction()
SAFE, UNSAFE = "inventory/PaymentCompleted", "payment/OrderCancelled"


def changed(reading: str, **values: object) -> pd.DataFrame:
    samples = frames.give_up_samples()
    for column, value in values.items():
        samples.loc[samples["reading"] == reading, column] = value
    return samples


def judge(samples: pd.DataFrame) -> Verdict:
    return give_up.judge(samples, PREDICTION)


def test_the_system_as_predicted_passes() -> None:
    assert judge(frames.give_up_samples()).outcome is Outcome.PASS


def test_the_prediction_is_the_checkers() -> None:
    given_up = give_up.predict(readings=give_up.QUICK)
    expected = PREDICTION[PREDICTION["reading"].isin(give_up.QUICK)]
    columns = ["reading", "safe", "steps"]
    assert given_up[columns].values.tolist() == expected[columns].values.tolist()


@pytest.mark.parametrize("quiet", [True, False])
def test_a_compensation_that_is_given_up_fails(quiet: bool) -> None:
    samples = changed(UNSAFE, letters=1, waited=False, quiet=quiet)
    verdict = judge(samples)
    assert verdict.outcome is Outcome.FAIL
    because = "it was given up, and nothing else repairs what it left undone"
    assert verdict.reasons == (f"{UNSAFE}: {because}",)


@pytest.mark.parametrize(
    ("reading", "values"),
    [
        (SAFE, {"wrong_after": True}),
        (UNSAFE, {"wrong_after": True}),
        (UNSAFE, {"wrong": False}),
    ],
)
def test_a_state_that_is_not_the_predicted_one_fails(
    reading: str, values: dict[str, object]
) -> None:
    assert judge(changed(reading, **values)).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("reading", "values"),
    [
        (SAFE, {"letters": 0}),
        (SAFE, {"quiet": False}),
        (UNSAFE, {"waited": False}),
        (UNSAFE, {"ended": False, "wrong": False}),
    ],
)
def test_what_was_not_seen_proves_nothing(reading: str, values: dict[str, object]) -> None:
    assert judge(changed(reading, **values)).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("states", "wrong"),
    [
        (("completed", "settled", "sold"), False),
        (("completed", "settled", "reserved"), True),
        (("cancelled", "refunded", "released"), False),
        (("cancelled", "charged", "reserved"), True),
        (("cancelled", "refunded", "sold"), True),
        (("completed", "settled", "none"), True),
    ],
)
def test_an_item_belongs_to_a_completed_order_only(
    states: tuple[str, str, str], wrong: bool
) -> None:
    assert give_up.has_wrong_item(States(*states)) is wrong


def test_the_figure_counts_what_was_given_up() -> None:
    figure = give_up.plot(changed(UNSAFE, letters=1, wrong_after=True), PREDICTION)
    assert figure.texts[0].get_text() == "8 of 10 poisoned events given up, 1 orders ended wrong"


@pytest.mark.parametrize("user", [f"user-{n}" for n in range(20)])
def test_orders_of_a_group_share_no_partition(user: str) -> None:
    outcomes = ["completed", "inventory failed", "completed", "payment failed", "completed"] * 2
    keys = give_up.choose_keys(outcomes, seed=7, user=user)
    ids = [coin.order_id(seed=7, user=user, key=key) for key in keys]
    assert [coin.outcome_of(id, seed=7) for id in ids] == outcomes
    partitions = [coin.partition_of(id) for id in ids]
    assert set(partitions[:6]) == set(range(6))
    assert max(partitions.count(each) for each in partitions) == 2
