"""Queues: exact means against known values, and the recursion against a hand-made schedule."""

import numpy as np
import pytest

from labs.experiments.phase2.queues import mean_wait, range_of_means, waits


@pytest.mark.parametrize("rho", [0.2, 0.5, 0.9, 0.95])
def test_one_server_waits_as_pollaczek_and_khinchine_say(rho: float) -> None:
    assert mean_wait(rho, service=2.0) == pytest.approx(2 * rho / (2 * (1 - rho)), rel=1e-6)


def test_five_slots_of_half_a_second_wait_at_nine_tenths() -> None:
    assert mean_wait(0.9, service=0.5, servers=5) == pytest.approx(0.388, abs=0.001)
    assert mean_wait(0.5, service=0.5, servers=5) < 0.02


def test_a_request_waits_for_what_its_predecessor_still_needs() -> None:
    arrivals = np.array([0.0, 0.5, 0.6, 5.0, 6.0])
    assert waits(arrivals, service=1.0).tolist() == pytest.approx([0, 0.5, 1.4, 0, 0])
    assert waits(np.arange(5) / 0.95, service=1.0).max() == 0


def test_a_short_run_has_a_range_around_the_long_mean() -> None:
    low, high = range_of_means(0.8, service=1.0, seconds=200)
    assert low < mean_wait(0.8, service=1.0) < high
    closer = range_of_means(0.8, service=1.0, seconds=5000)
    assert low < closer[0] < mean_wait(0.8, service=1.0) < closer[1] < high
