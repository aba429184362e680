"""Windows: sums are certain, and what a busy machine can make late has to be seen twice."""

import pandas as pd
import pytest

from labs.experiments.phase5 import windows
from labs.experiments.phase5.stream_log import count_windows
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase5 import frames
from tests.labs.experiments.phase5.frames import BEGAN


def changed(window: int, **values: float) -> pd.DataFrame:
    """Return the samples with other values in one window."""
    samples = frames.windows_samples()
    for column, value in values.items():
        samples.loc[window, column] = value
    return samples


def judge(samples: pd.DataFrame) -> Verdict:
    return windows.judge(samples, frames.windows_prediction())


def twice(samples: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([samples, samples.assign(attempt=2)], ignore_index=True)


def test_a_late_event_that_corrects_a_window_passes() -> None:
    verdict = judge(frames.windows_samples())
    assert verdict.outcome is Outcome.PASS
    assert verdict.details["late"] == 2
    assert verdict.details["corrected"] == 1


@pytest.mark.parametrize(
    ("window", "values", "because"),
    [
        (1, {"now_orders": 19}, f"{windows.NOW}: windows have other sums than the log"),
        (6, {"log_revenue": 0}, f"{windows.NOW}: windows have other sums than the log"),
        (1, {"first_failed": 19}, f"{windows.FIRST}: windows were closed with other sums"),
    ],
)
def test_a_wrong_sum_fails_at_once(window: int, values: dict[str, float], because: str) -> None:
    verdict = judge(changed(window, **values))
    assert verdict.outcome is Outcome.FAIL
    assert because in verdict.reasons


@pytest.mark.parametrize(
    ("samples", "because"),
    [
        (changed(0, late=3), "events were late that were published in time"),
        (
            frames.windows_samples().assign(mark=BEGAN),
            "the watermark has not passed what was read",
        ),
        (frames.windows_samples().assign(mark=float("-inf")), "the watermark has not passed"),
    ],
)
def test_what_is_late_fails_when_it_is_seen_twice(samples: pd.DataFrame, because: str) -> None:
    assert judge(samples).outcome is Outcome.INCONCLUSIVE
    verdict = judge(twice(samples))
    assert verdict.outcome is Outcome.FAIL
    assert any(because in reason for reason in verdict.reasons)


def test_a_watermark_ahead_of_the_log_fails() -> None:
    samples = frames.windows_samples()
    assert judge(samples.assign(mark=samples["newest"])).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    "samples",
    [
        frames.windows_samples().assign(resting=False),
        frames.windows_samples().assign(idle=0),
        frames.windows_samples().assign(closed=0.0),
        frames.windows_samples().assign(late=0.0).assign(first_revenue=frames.PRICE * 20.0),
    ],
)
def test_an_attempt_with_nothing_at_stake_is_inconclusive(samples: pd.DataFrame) -> None:
    assert judge(samples).outcome is Outcome.INCONCLUSIVE


def test_a_batch_counts_each_event_in_the_window_in_which_it_happened() -> None:
    rows = [(4.0, "orders", 1), (5.9, "revenue", 500), (6.0, "revenue", -500), (7.9, "failed", 1)]
    counted = count_windows(pd.DataFrame(rows, columns=["at", "sum", "value"]), size=2)
    assert counted.to_dict("records") == [
        {"start": 4.0, "orders": 1, "successful": 0, "failed": 0, "revenue": 500},
        {"start": 6.0, "orders": 0, "successful": 0, "failed": 1, "revenue": -500},
    ]
