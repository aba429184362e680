"""The intervals hold what they enclose in 95 of 100 samples, and are infinite where there are too few."""

import math

import numpy as np
import pytest

from labs.exercises.designs.intervals import of_difference, of_mean, of_median, of_share


def test_the_median_lies_in_its_interval_in_95_of_100_samples() -> None:
    chance = np.random.default_rng(7)
    samples = [of_median(chance.exponential(size=40)) for _ in range(1000)]
    inside = sum(each.low <= math.log(2) <= each.high for each in samples)
    assert 930 <= inside <= 985


def test_the_difference_lies_in_its_interval_in_95_of_100_samples() -> None:
    chance = np.random.default_rng(7)
    pairs = [(3 + chance.exponential(size=60), chance.exponential(size=90)) for _ in range(1000)]
    inside = sum(low <= 3 <= high for low, _, high in (of_difference(*pair) for pair in pairs))
    assert 930 <= inside <= 990


def test_the_mean_of_three_lies_in_its_interval_in_95_of_100_samples() -> None:
    chance = np.random.default_rng(7)
    samples = [of_mean(chance.normal(6, 1, 3)) for _ in range(1000)]
    assert 930 <= sum(low <= 6 <= high for low, _, high in samples) <= 970


def test_four_times_as_many_samples_halve_the_interval() -> None:
    few, many = (of_median(np.linspace(0, 1, n)) for n in (100, 400))
    assert many.width == pytest.approx(few.width / 2, rel=0.1)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_too_few_values_have_an_infinite_interval(n: int) -> None:
    assert of_median([1.0] * n).width == math.inf
    assert of_mean([1.0] * min(n, 1)).width == math.inf


def test_without_a_loss_the_bound_is_near_the_rule_of_three() -> None:
    none = of_share(0, of=300)
    assert (none.low, none.value) == (0, 0)
    assert none.high == pytest.approx(3 / 300, rel=0.15)


def test_some_losses_have_a_bound_on_either_side() -> None:
    some = of_share(10, of=500)
    assert some.low == pytest.approx(0.012, abs=0.001)
    assert some.high == pytest.approx(0.033, abs=0.001)
