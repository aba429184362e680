"""Story: a tree with one root, one correlation id and no surprise; everything else fails."""

import pandas as pd
import pytest

from labs.experiments.phase5 import story
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase5 import frames

PREDICTION = frames.story_prediction()


def judge(samples: pd.DataFrame) -> Verdict:
    return story.judge(samples, PREDICTION)


def changed(**values: object) -> pd.DataFrame:
    """One completed order with other values."""
    samples = frames.story_samples()
    for column, value in values.items():
        samples.loc[0, column] = value
    return samples


def test_the_prediction_counts_four_three_and_five_events() -> None:
    assert PREDICTION["events"].tolist() == [4, 3, 5]
    assert PREDICTION["hops"].tolist() == [3, 2, 3]


def test_stories_as_predicted_pass() -> None:
    assert judge(frames.story_samples()).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("values", "because"),
    [
        ({"roots": 2}, "an order has several events without a cause"),
        ({"orphans": 1}, "an event follows from none of its order"),
        ({"correlations": 2}, "the events of an order have several correlation ids"),
        ({"traces": 2}, "the events of an order have several trace ids"),
        ({"own": False}, "the events carry another correlation id than the client sent"),
        ({"reversed": 1}, "an event is earlier than its cause"),
        ({"types": "OrderCreated"}, "an order has other events than predicted"),
        ({"notifications": 0}, "not one request for a notification per order"),
        ({"notifications": 2}, "not one request for a notification per order"),
        ({"hops": 4}, "an order has another number of hops than predicted"),
    ],
)
def test_one_order_that_differs_fails(values: dict[str, object], because: str) -> None:
    verdict = judge(changed(**values))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"completed: {because}",)


@pytest.mark.parametrize(
    ("values", "because"),
    [
        ({"ended": False, "hops": 0}, "too few orders had ended in time"),
        ({"hops": 1}, "a deadline ended orders although every service ran"),
    ],
)
def test_orders_that_a_busy_machine_shapes_are_inconclusive(
    values: dict[str, object], because: str
) -> None:
    verdict = judge(changed(**values))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons == (f"completed: {because}",)


def test_a_refund_that_had_not_come_yet_is_inconclusive() -> None:
    late = frames.story_samples().assign(complete=False)
    late.loc[late["outcome"] == "inventory failed", "events"] = 4
    late.loc[late["outcome"] == "inventory failed", "types"] = "all but the refund"
    assert judge(late).outcome is Outcome.INCONCLUSIVE


def test_a_refund_that_never_came_fails() -> None:
    never = frames.story_samples()
    never.loc[never["outcome"] == "inventory failed", "types"] = "all but the refund"
    assert judge(never).outcome is Outcome.FAIL


def test_too_few_orders_are_inconclusive() -> None:
    assert judge(frames.story_samples(orders=2)).outcome is Outcome.INCONCLUSIVE
