"""What a good measurement has is seen in its samples, and a poor one is not accepted by chance."""

import pandas as pd
import pytest

from labs.exercises.designs.measurements import no_open_loop, not_in_turn, unequal_rates
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
