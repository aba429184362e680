"""What a good measurement has is seen in its samples, and a poor one is not accepted by chance."""

import numpy as np
import pandas as pd
import pytest

from labs.exercises.designs.intervals import Interval
from labs.exercises.designs.measurements import (
    no_open_loop,
    not_in_turn,
    other_than_samples,
    unequal_rates,
)
from labs.exercises.designs.reading import Conclusion
from labs.load.open_loop import Stream
from labs.load.worker import schedule
from tests.labs.exercises.designs.handed_in import closed, load

ONE, TWO = "one", "two"


@pytest.mark.parametrize("rate", [5, 50])
@pytest.mark.parametrize("spread", [0.0, 0.001, 0.01])
def test_streams_of_a_load_take_turns_in_an_open_loop(rate: float, spread: float) -> None:
    samples = load({ONE: 0.002, TWO: 0.004}, rate=rate, spread=spread)
    assert not_in_turn(samples, "stream", "intended") is None
    assert no_open_loop(samples) is None


@pytest.mark.parametrize("think", [0.0, 0.02])
def test_a_client_that_waits_is_a_closed_loop(think: float) -> None:
    samples = closed(load({ONE: 0.02, TWO: 0.03}, spread=0.01))
    samples["intended"] += think * samples.index
    assert "closed loop" in str(no_open_loop(samples))


def test_random_arrivals_are_no_closed_loop() -> None:
    stream = vars(Stream("one", "", rate=20, arrivals="poisson"))
    plan = {"streams": [stream], "seconds": 10, "seed": 7}
    due = pd.DataFrame({"intended": [each.offset for each in schedule(plan)]})
    samples = due.assign(stream=ONE, lag=0.0, latency=0.002, ok=True)
    samples["latency"] += 0.0001 * (samples.index % 7)
    assert no_open_loop(samples) is None


def test_two_halves_are_not_in_turn_and_eight_blocks_are() -> None:
    moments = [float(second) for second in range(80)]
    halves = pd.DataFrame({"stream": [ONE] * 40 + [TWO] * 40, "intended": moments})
    blocks = pd.DataFrame({"stream": ([ONE] * 10 + [TWO] * 10) * 4, "intended": moments})
    assert "take turns" in str(not_in_turn(halves, "stream", "intended"))
    assert not_in_turn(blocks, "stream", "intended") is None


def test_a_case_that_comes_in_the_second_half_only_is_not_in_turn() -> None:
    moments = [float(second) for second in range(80)]
    samples = pd.DataFrame({"stream": [ONE] * 40 + [ONE, TWO] * 20, "intended": moments})
    assert "take turns" in str(not_in_turn(samples, "stream", "intended"))


def test_a_quarter_fewer_of_one_case_is_another_rate() -> None:
    assert unequal_rates(pd.DataFrame({"stream": [ONE] * 100 + [TWO] * 90}), "stream") is None
    assert unequal_rates(pd.DataFrame({"stream": [ONE] * 100 + [TWO] * 75}), "stream")


@pytest.mark.parametrize(
    ("low", "high", "up_to", "accepted"),
    [
        (5.5, 6.5, 0.0, True),
        (5.9, 6.4, 0.0, False),  # encloses what another statistic gives
        (5.9, 6.4, 3.0, True),  # a slope that was cut otherwise
        (6.6, 7.0, 3.0, False),
    ],
)
def test_an_interval_of_few_values_may_miss_by_a_quarter_of_its_widest(
    low: float, high: float, up_to: float, accepted: bool
) -> None:
    given = Conclusion(predicted=6.0, low=low, high=high, holds=low <= 6 <= high)
    samples = Interval(5.3, 5.8, 6.3)
    assert (other_than_samples(given, samples, up_to=up_to) is None) is accepted


def test_cases_that_chance_decides_take_turns() -> None:
    for seed in range(300):
        refunded = np.random.default_rng(seed).random(112) < 0.2
        samples = pd.DataFrame({"outcome": np.where(refunded, ONE, TWO), "paid": range(112)})
        assert not_in_turn(samples, "outcome", "paid", by_chance=True) is None


@pytest.mark.parametrize("first", [ONE, TWO])
def test_cases_one_after_the_other_are_not_by_chance(first: str) -> None:
    rest = {ONE: TWO, TWO: ONE}[first]
    outcomes = {ONE: 22, TWO: 90}
    ordered = [first] * outcomes[first] + [rest] * outcomes[rest]
    samples = pd.DataFrame({"outcome": ordered, "paid": range(112)})
    assert "did not take turns" in str(not_in_turn(samples, "outcome", "paid", by_chance=True))
