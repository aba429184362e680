"""The house style of figures."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from labs.figures import STYLE, WIDTH, badge, canvas, predicted_band, styled
from labs.verdicts import COLOURS, Outcome, Verdict


@styled
def grid() -> Figure:
    return plt.figure(label=str(plt.rcParams["axes.grid"]))


def test_a_styled_figure_leaves_matplotlibs_own_style_untouched() -> None:
    before = plt.rcParams["axes.grid"]
    assert grid().get_label() == str(STYLE["axes.grid"]) != str(before)
    assert plt.rcParams["axes.grid"] == before


def test_a_styled_figure_ignores_the_users_own_style() -> None:
    @styled
    def axes() -> Figure:
        return plt.subplots(label=str(plt.rcParams["text.usetex"]))[0]

    with plt.rc_context({"axes.facecolor": "black", "text.usetex": True}):
        figure = axes()
    assert figure.get_label() == "False"
    assert figure.axes[0].get_facecolor() == to_rgba("white")
    plt.close(figure)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_the_badge_says_the_verdict_in_its_colour(outcome: Outcome) -> None:
    figure, _ = canvas("Title", runtime="docker")
    text = badge(figure, Verdict("a", outcome, "it holds"))
    assert text.get_text() == outcome.upper()
    box = text.get_bbox_patch()
    assert box
    assert box.get_facecolor() == pytest.approx(to_rgba(COLOURS[outcome]))


def test_every_figure_is_as_wide_and_says_its_runtime() -> None:
    figure, axes = canvas("Title", runtime="docker", note="n", rows=3, height=5)
    assert figure.get_size_inches()[0] == WIDTH
    assert len(axes) == 3
    assert "runtime: docker" in figure.texts[1].get_text()
    predicted_band(axes[0], 1, 2, label="predicted")
    assert axes[0].get_legend_handles_labels()[1] == ["predicted"]
