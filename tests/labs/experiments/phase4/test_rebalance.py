"""Rebalance: which orders wait, for how long, and that none is lost."""

import pandas as pd
import pytest

from labs.experiments.phase4 import rebalance
from labs.experiments.phase4.rebalance import ALL, DIES, ITS, JOINS, LEAVES, OTHERS
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase4.event_frames import rebalance_prediction, rebalance_samples


def judge(samples: pd.DataFrame) -> Verdict:
    return rebalance.judge(samples, rebalance_prediction())


def twice(samples: pd.DataFrame) -> Verdict:
    """The verdict on two attempts that show the same."""
    return judge(pd.concat([samples, samples.assign(attempt=2)], ignore_index=True))


def test_only_a_death_waits_for_the_session_timeout() -> None:
    table = rebalance.predict(seconds=1, session=10).set_index(["change", "partitions"])
    assert table["high"].to_dict() == {
        (JOINS, ALL): 2.0,
        (LEAVES, ALL): 1.5,
        (DIES, ITS): 11.5,
        (DIES, OTHERS): 2.5,
    }
    assert table["low"][DIES, ITS] == 9.5
    assert set(table["lost"]) == {0}


def test_the_predicted_behaviour_passes() -> None:
    verdict = judge(rebalance_samples())
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    waits = {
        (row["change"], row["partitions"]): row["waited"] for row in verdict.details["changes"]
    }
    assert waits[DIES, ITS] == pytest.approx(7, abs=0.2)
    assert waits[DIES, OTHERS] == pytest.approx(2, abs=0.2)
    assert waits[JOINS, ALL] < 0.1


def test_one_lost_order_fails() -> None:
    lost = rebalance_samples()
    lost.loc[int(8.8 * 15) - 1, "paid"] = None
    assert judge(lost).reasons == ("a member dies: an order was lost",)
    unpublished = rebalance_samples().assign(placed=10_000)
    assert judge(unpublished).reasons == ("an order that was accepted was never published",)


def test_a_group_that_misses_a_member_too_late_fails() -> None:
    late = rebalance_samples(missed=8)
    assert judge(late).outcome is Outcome.INCONCLUSIVE  # a busy machine makes a wait longer
    assert twice(late).reasons == ("a member dies: an order waited longer than predicted",)


def test_a_member_that_is_missed_before_its_session_timeout_fails() -> None:
    verdict = judge(rebalance_samples(missed=4))
    assert verdict.reasons == ("a member dies: a member was missed before its session timeout",)


def test_a_slow_handover_fails() -> None:
    slow = rebalance_samples(handover=3.5)
    assert twice(slow).reasons == ("a member joins: an order waited longer than predicted",)
    assert judge(rebalance_samples(handover=2.5)).outcome is Outcome.PASS


def test_other_partitions_that_wait_for_the_dead_member_fail() -> None:
    reason = "a member dies, the other partitions: an order waited longer than predicted"
    assert reason in twice(rebalance_samples(lease=6)).reasons


def test_a_death_without_effect_and_few_orders_are_inconclusive() -> None:
    assert judge(rebalance_samples(missed=0)).outcome is Outcome.INCONCLUSIVE
    few = rebalance_samples().iloc[::15].assign(placed=21)
    assert judge(few).outcome is Outcome.INCONCLUSIVE


def test_the_figure_names_each_change() -> None:
    figure = rebalance.plot(rebalance_samples(), rebalance_prediction())
    assert figure.texts[0].get_text().endswith("a leave by 0.1 s, a death by 6.9 s")
    (ax,) = figure.axes
    assert {f"a member {name}" for name in (JOINS, LEAVES, DIES)} == {
        text.get_text() for text in ax.texts
    }
