"""The load generator's report: when it kept its schedule, and what it counts."""

import pandas as pd
import pytest

from labs.load.schedule import LAG_LIMIT, LoadReport, load_report


def samples(*lags: float, rate: float = 100.0) -> pd.DataFrame:
    """Return requests that were due evenly at that rate, each late by its lag."""
    return pd.DataFrame({"intended": [n / rate for n in range(len(lags))], "lag": lags})


@pytest.mark.parametrize(
    ("achieved", "lag", "kept"),
    [
        (100.0, 0.0, True),
        (98.0, LAG_LIMIT, True),
        (97.9, 0.0, False),
        (100.0, LAG_LIMIT * 1.01, False),
    ],
)
def test_a_schedule_is_kept_within_both_limits(achieved: float, lag: float, kept: bool) -> None:
    report = LoadReport(offered=100.0, achieved=achieved, lag_p99=lag)
    assert report.kept_schedule is kept
    assert ("kept up" if kept else "lagged") in str(report)


def test_a_generator_that_kept_up_reports_it() -> None:
    report = load_report(samples(*[0.0001] * 100))
    assert report.kept_schedule
    assert report.offered == pytest.approx(100, rel=0.001)
    assert report.achieved == pytest.approx(100, rel=0.001)


def test_a_generator_that_falls_behind_did_not_achieve_its_rate() -> None:
    """Each request is later than the one before, so that no lag alone would show it."""
    slow = load_report(samples(*[0.1 * n / 100 for n in range(100)]), lag_limit=10)
    assert slow.achieved < 0.95 * slow.offered
    assert not slow.kept_schedule
    assert "lagged" in str(slow)


def test_one_late_request_in_a_thousand_is_no_lag() -> None:
    assert load_report(samples(*[0.0] * 999, 0.02)).kept_schedule
    assert not load_report(samples(*[0.0] * 900, *[0.02] * 100)).kept_schedule


def test_a_lag_limit_may_be_wider() -> None:
    late = samples(*[0.05] * 100)
    assert not load_report(late).kept_schedule
    assert load_report(late, lag_limit=0.1).kept_schedule


@pytest.mark.parametrize(("lags", "kept"), [([], True), ([0.001], True), ([1.0], False)])
def test_fewer_than_two_requests_have_no_rate(lags: list[float], kept: bool) -> None:
    report = load_report(samples(*lags))
    assert (report.offered, report.achieved) == (0, 0)
    assert report.kept_schedule is kept
