"""The cure: INCR may lose nothing, GET then SET must lose something, and nothing is judged of calls that never met."""

from typing import Any

import pandas as pd
import pytest

from labs.experiments.phase2 import atomic_counter
from labs.experiments.phase2.atomic_counter import overlap
from labs.experiments.phase2.interleavings import possible_counts
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase2 import scaling_frames as frames

PREDICTION = frames.atomic_counter_prediction()


def changed(store: str, callers: int, **values: float) -> pd.DataFrame:
    samples = frames.atomic_counter_samples()
    row = (samples["store"] == store) & (samples["concurrency"] == callers)
    samples.loc[row, list(values)] = list(values.values())
    return samples


def judge(samples: pd.DataFrame) -> Verdict:
    return atomic_counter.judge(samples, PREDICTION)


def test_two_steps_lose_calls_of_many_callers_only() -> None:
    rows = atomic_counter.predict(60, concurrency=(1, 4), replicas=3)
    ranges = rows.set_index(["store", "concurrency"])[["low", "high"]].T.to_dict("list")
    assert ranges["memory", 1] == ranges["memory", 4] == [20, 20]
    assert ranges["getset", 1] == ranges["incr", 1] == ranges["incr", 4] == [60, 60]
    assert ranges["getset", 4] == [1, 59]


@pytest.mark.parametrize(("calls", "callers"), [(2, 2), (4, 2), (6, 3), (8, 4)])
def test_the_bounds_are_those_of_every_possible_order(calls: int, callers: int) -> None:
    possible = possible_counts(calls, callers=callers)["counted"]
    assert possible.tolist() == list(range(1, calls + 1))
    rows = atomic_counter.predict(calls, concurrency=(callers,), replicas=2)
    low = rows.set_index("store")["low"]["getset"]
    assert low == possible.min()


def test_callers_with_calls_of_their_own_leave_two_at_least() -> None:
    for calls, callers in ((4, 2), (6, 2), (6, 3)):
        assert possible_counts(calls, callers=callers, shared=False)["counted"].min() == 2
    assert possible_counts(3, callers=3, shared=False)["counted"].min() == 1


def test_one_caller_leaves_every_call_counted() -> None:
    assert possible_counts(5, callers=1)["counted"].tolist() == [5]


@pytest.mark.parametrize("row", possible_counts(4, callers=2).to_dict("records"))
def test_a_schedule_leaves_the_count_that_it_shows(row: dict[str, Any]) -> None:
    count, held = 0, {}
    for step in row["schedule"].split():
        if "=" in step:
            count = held.pop(step[0]) + 1
            assert step.endswith(f"={count}")
        else:
            held[step[0]] = count
    assert count == row["counted"]


def test_a_count_below_every_possible_one_fails() -> None:
    verdict = judge(changed("getset", 8, counted=0.0))
    assert verdict.outcome is Outcome.FAIL
    assert "fewer calls were counted than any order" in verdict.reasons[0]
    assert judge(changed("getset", 8, counted=1.0)).outcome is Outcome.PASS


def test_the_system_as_predicted_passes() -> None:
    assert judge(frames.atomic_counter_samples()).outcome is Outcome.PASS


@pytest.mark.parametrize(("store", "callers"), [("incr", 1), ("incr", 32), ("getset", 1)])
def test_one_lost_call_fails_where_none_may_be_lost(store: str, callers: int) -> None:
    verdict = judge(changed(store, callers, counted=191.0))
    assert verdict.outcome is Outcome.FAIL
    assert "calls were lost" in verdict.reasons[0]


def test_getset_without_a_loss_fails_where_calls_overlapped() -> None:
    assert judge(changed("getset", 8, counted=192.0)).outcome is Outcome.FAIL
    verdict = judge(changed("getset", 8, counted=192.0, overlap=1.2))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons == ("getset, 8 callers: the calls never overlapped",)


def test_incr_is_in_doubt_for_calls_that_never_met() -> None:
    assert judge(changed("incr", 32, overlap=1.0)).outcome is Outcome.INCONCLUSIVE


def test_calls_counted_twice_fail() -> None:
    assert judge(changed("incr", 8, counted=193.0)).outcome is Outcome.FAIL


@pytest.mark.parametrize("lost", [{"answered": 190}, {"counted": float("nan")}])
def test_a_later_attempt_may_settle_unanswered_calls(
    lost: dict[str, float],
) -> None:
    first = changed("incr", 8, **lost)
    assert judge(first).outcome is Outcome.INCONCLUSIVE
    both = pd.concat([first, frames.atomic_counter_samples().assign(attempt=2)], ignore_index=True)
    assert judge(both).outcome is Outcome.PASS


def test_overlap_is_the_mean_number_of_requests_under_way() -> None:
    log = pd.DataFrame({"time": [10.4, 10.4, 10.8], "seconds": [0.4, 0.4, 0.4]})
    assert overlap(log) == pytest.approx(1.5)
