"""The broker dies: one missing event fails, wherever; too few orders during the fault prove nothing."""

import pandas as pd
import pytest

from labs.experiments.phase4 import broker_dies
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase4 import delivery_frames as frames

PREDICTION = frames.broker_dies_prediction()


def judge(samples: pd.DataFrame) -> Verdict:
    return broker_dies.judge(samples, PREDICTION)


def test_the_system_as_predicted_passes() -> None:
    assert judge(frames.broker_dies_samples()).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("row", "moment"), [(0, "before"), (40, "while it is away"), (-1, "after")]
)
def test_one_missing_event_fails(row: int, moment: str) -> None:
    samples = frames.broker_dies_samples()
    samples.loc[samples.index[row], ["published", "status", "done"]] = [0, "pending", None]
    verdict = judge(samples)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"orders placed {moment}: events missing",)


def test_an_event_that_came_twice_is_not_missing() -> None:
    assert judge(frames.broker_dies_samples().assign(published=2)).outcome is Outcome.PASS


def test_accepted_orders_that_are_not_there_fail() -> None:
    verdict = judge(frames.broker_dies_samples().iloc[1:])
    assert verdict.reasons == ("accepted orders are not there",)


def test_published_orders_that_are_never_completed_fail() -> None:
    samples = frames.broker_dies_samples()
    samples.loc[50:, ["status", "done"]] = ["pending", None]
    assert judge(samples).reasons == (
        "orders were never completed: a service did not come back by itself",
    )


def test_refused_orders_fail_and_unanswered_ones_are_in_doubt() -> None:
    samples = frames.broker_dies_samples()
    assert judge(samples.assign(asked=111, refused=1)).outcome is Outcome.FAIL
    assert judge(samples.assign(asked=111)).outcome is Outcome.INCONCLUSIVE


def test_a_later_attempt_settles_a_fault_that_few_orders_saw() -> None:
    samples = frames.broker_dies_samples()
    short = samples.assign(ended=samples["began"] + 0.2)
    assert judge(short).outcome is Outcome.INCONCLUSIVE
    both = pd.concat([short, samples.assign(attempt=2)], ignore_index=True)
    assert judge(both).outcome is Outcome.PASS


@pytest.mark.parametrize(("waits", "removed"), [(6.4, True), (8.2, True), (0.2, False)])
def test_orders_wait_a_session_timeout_where_the_group_was_left(
    waits: float, removed: bool
) -> None:
    verdict = judge(frames.broker_dies_samples(waits=waits, removed=removed))
    assert verdict.outcome is Outcome.PASS, verdict.reasons


@pytest.mark.parametrize(("waits", "removed"), [(8.4, True), (1.9, False)])
def test_orders_that_are_done_too_late_twice_fail(waits: float, removed: bool) -> None:
    late = frames.broker_dies_samples(waits=waits, removed=removed)
    assert judge(late).outcome is Outcome.INCONCLUSIVE  # it may be the machine
    verdict = judge(pd.concat([late, late.assign(attempt=2)], ignore_index=True))
    assert verdict.reasons == ("orders were done later than predicted",)


def test_a_slow_machine_starts_the_broker_slowly_too() -> None:
    late = frames.broker_dies_samples(waits=11)
    slow = late.assign(began=late["began"] - 10, killed=late["killed"] - 10)
    both = pd.concat([slow, slow.assign(attempt=2)], ignore_index=True)
    assert "orders were done later than predicted" not in judge(both).reasons


def test_members_that_are_forgotten_before_their_session_ends_fail() -> None:
    verdict = judge(frames.broker_dies_samples(waits=2))
    assert verdict.reasons == ("orders were done before the former members' session timeout",)


def test_the_title_has_the_wait_and_the_dashed_line_is_where_it_was_measured() -> None:
    figure = broker_dies.plot(frames.broker_dies_samples(), PREDICTION)
    assert figure.texts[0].get_text() == (
        "0 of 110 orders lost their event; those that waited were done 6.5 s after the broker's return"
    )
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert max(lines["done, predicted"].get_xdata()) == pytest.approx(2.5 + 6.5)
