"""Money: a cent too much or too little fails, in any order and in any sum."""

import pandas as pd
import pytest

from labs.experiments.phase5 import money
from labs.experiments.phase5.money import BALANCES, NET, OWED, REVENUE
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase5 import frames

PREDICTION = frames.money_prediction()


def changed(status: str, **values: object) -> pd.DataFrame:
    """The last order with this status, with other values."""
    samples = frames.money_samples()
    row = samples.index[samples["status"] == status][-1]
    for column, value in values.items():
        samples.loc[row, column] = value
    return samples


def judge(samples: pd.DataFrame) -> Verdict:
    return money.judge(samples, PREDICTION)


def test_books_that_add_up_pass() -> None:
    assert judge(frames.money_samples()).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("status", "values"),
    [
        ("completed", {"charges": 0, "charged": 0}),
        ("completed", {"charged": 1998}),
        ("completed", {"refunds": 1, "refunded": 1999}),
        ("cancelled", {"refunds": 0, "refunded": 0}),
        ("cancelled", {"refunded": 1998}),
    ],
)
def test_one_order_with_a_wrong_net_amount_fails(status: str, values: dict[str, object]) -> None:
    verdict = judge(changed(status, **values))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"{NET}: not zero",)


@pytest.mark.parametrize(
    ("values", "because"),
    [
        ({"charges": 2}, "an order was charged more than once"),
        ({"refunded": 3998}, "more was refunded than charged"),
        ({"unordered": 1}, "the ledger has entries of orders that do not exist"),
    ],
)
def test_what_is_wrong_at_any_moment_fails_before_rest(
    values: dict[str, object], because: str
) -> None:
    verdict = judge(changed("cancelled", **values).assign(resting=False))
    assert verdict.outcome is Outcome.FAIL
    assert all(reason.endswith(because) for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("account", "failed"),
    [("customers", BALANCES), ("revenue", REVENUE), ("owed", OWED)],
)
def test_a_cent_in_a_sum_fails(account: str, failed: str) -> None:
    samples = frames.money_samples()
    samples[account] += 1
    verdict = judge(samples)
    assert verdict.outcome is Outcome.FAIL
    assert f"{failed}: not zero" in verdict.reasons


@pytest.mark.parametrize("values", [{"resting": False}, {"status": "pending"}])
def test_without_rest_nothing_is_judged(values: dict[str, object]) -> None:
    samples = changed("cancelled", refunds=0, refunded=0)
    assert judge(samples.assign(**values)).outcome is Outcome.INCONCLUSIVE


def test_few_refunds_prove_little() -> None:
    verdict = judge(frames.money_samples(each=10))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert all(reason.endswith("too few refunds") for reason in verdict.reasons)


def test_the_figure_counts_the_wrong_orders() -> None:
    figure = money.plot(changed("completed", charges=0, charged=0), PREDICTION)
    assert figure.texts[0].get_text() == "1 of 75 orders have a wrong net amount"
