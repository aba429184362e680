"""What the tests of the labs' library share."""

from collections.abc import Iterator

import matplotlib
import matplotlib.pyplot as plt
import pytest

from labs.answering import Answers

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _figures_are_closed() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture(autouse=True)
def _no_run_keeps_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's run is not the newest run of the next test."""
    monkeypatch.setattr(Answers, "newest", None)
