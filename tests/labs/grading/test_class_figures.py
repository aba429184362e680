"""The figures of a class: which values an axis shows, and that each guess on it is in one bar."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

from labs.grading.class_figures import Axis, calibration_figure, guesses_figure, png
from labs.grading.contributions import Guessed


def axis(guesses: list[float], *others: float) -> Axis:
    return Axis.of(np.array(guesses, float), np.array(others, float))


def guessed(value: float, right: bool | None = True, **more: Any) -> Guessed:
    facts = {"sure": 0.8, "theory": 9.0, "measured": 9.0} | more
    return Guessed("rate_limit", "fixed", value, right=right, **facts)


def bars(figure: Any) -> int:
    """The number of guesses in all bars."""
    return round(sum(patch.get_height() for patch in figure.axes[0].patches))


@pytest.fixture(autouse=True)
def closed() -> Any:
    yield
    plt.close("all")


def test_one_absurd_guess_does_not_squeeze_the_others() -> None:
    values = [5.0, 6, 7, 8, 9, 10, 1e300]
    found = axis(values, 9)
    assert (found.low, found.high) == (5, 10)
    assert list(found.holds(np.array(values))) == [True] * 6 + [False]


def test_theory_and_measurement_are_always_on_the_axis() -> None:
    found = axis([5, 5, 5, 5], 900, -3)
    assert (found.low, found.high) == (-3, 900)


def test_guesses_of_several_orders_of_magnitude_get_a_logarithmic_axis() -> None:
    assert axis([0.1, 1, 10, 100], 2).logarithmic
    assert not axis([1, 2, 10], 2).logarithmic
    assert not axis([0.1, 1, 10, 100], 0).logarithmic, "what was measured is 0"


def test_a_guess_of_nothing_lies_outside_of_a_logarithmic_axis() -> None:
    values = [0, 0.1, 1, 10, 100]
    assert list(axis(values, 2).holds(np.array(values))) == [False, True, True, True, True]


def test_whole_numbers_have_a_bar_each() -> None:
    values = np.array([3.0, 5])
    assert list(axis([3, 5]).edges(values)) == [2.5, 3.5, 4.5, 5.5]


@pytest.mark.parametrize(
    "values", [[9], [0], [5, 5, 9, 10], [0.001, 1, 1000], [-1.5, 2.5], [1e300, 1e300], [1, 1e9]]
)
def test_each_guess_is_in_a_bar_or_counted_outside(values: list[float]) -> None:
    figure = guesses_figure([guessed(value) for value in values], "requests")
    label = figure.axes[1].get_xlabel()
    outside = int(label.split(";")[1].split()[0]) if ";" in label else 0
    assert bars(figure) + outside == len(values)
    png(figure)


def test_right_and_other_guesses_have_their_own_colours() -> None:
    guesses = [guessed(9), guessed(5, right=False), guessed(6, right=None)]
    figure = guesses_figure(guesses, "requests")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["theory", "right", "not right", "not compared"]


def test_what_each_student_measured_is_drawn_on_the_axis_of_the_guesses() -> None:
    figure = guesses_figure([guessed(9, measured=8.5), guessed(5, measured=9.5)], "requests")
    top, below = figure.axes
    assert list(below.lines[0].get_xdata()) == [8.5, 9.5]
    assert top.get_xlim() == below.get_xlim()
    assert top.get_xlim()[0] <= 5


def test_guesses_without_theory_and_measurement_can_be_drawn() -> None:
    figure = guesses_figure([guessed(4, None, theory=None, measured=None)], "requests")
    assert bars(figure) == 1


def test_calibration_is_drawn_with_its_counts() -> None:
    levels = [{"sure": 0.8, "share": 0.5, "guesses": 12}, {"sure": 1.0, "share": 1.0, "guesses": 3}]
    figure = calibration_figure(levels)
    assert [text.get_text() for text in figure.axes[0].texts] == ["12", "3"]
    assert figure.axes[0].collections[0].get_offsets().tolist() == [[80, 50], [100, 100]]
