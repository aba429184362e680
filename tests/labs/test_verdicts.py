"""A verdict says the same words on every machine; an inconclusive one gets three more chances."""

from typing import Any

import pandas as pd
import pytest

from labs.verdicts import Outcome, Verdict, until_conclusive


def of(**more: Any) -> Verdict:
    return Verdict.of("independence", "nothing else is lost", **more)


def test_failures_come_before_doubts_and_doubts_before_a_pass() -> None:
    assert of().outcome is Outcome.PASS
    assert of(doubts=["too few"]).outcome is Outcome.INCONCLUSIVE
    assert of(failures=["lost"], doubts=["too few"]).outcome is Outcome.FAIL


@pytest.mark.parametrize("outcome", list(Outcome))
def test_what_is_displayed_does_not_depend_on_the_numbers(outcome: Outcome) -> None:
    one, other = (
        Verdict("a", outcome, "it holds", ("because",), details={"ratio": ratio}, extend=extend)
        for ratio, extend in ((0.123, True), (0.456, False))
    )
    assert str(one) == repr(one) == str(other)
    assert one._repr_html_() == other._repr_html_()
    assert one == other
    assert outcome.upper() in str(one)
    assert "because" in one._repr_html_()


def test_reasons_are_text_in_html() -> None:
    assert "<script>" not in of(failures=["<script>"])._repr_html_()


def test_a_verdict_survives_json() -> None:
    verdict = of(doubts=["too few"], details={"sent": 3})
    again = Verdict.from_json(verdict.to_json())
    assert again == verdict
    assert again.details == {"sent": 3}
    assert again.extend


class Measurement:
    """Counts how often it was made."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, env: str, *, seconds: int) -> pd.DataFrame:
        self.made += 1
        return pd.DataFrame({"env": [env] * seconds, "attempt": 1})


def enough(samples: pd.DataFrame, needed: int) -> Verdict:
    return of(doubts=["too few"] * (len(samples) < needed))


@pytest.mark.parametrize(("needed", "made"), [(2, 1), (4, 2), (8, 4), (100, 4)])
def test_an_inconclusive_sample_is_extended_three_times_at_most(
    needed: int, made: int, capsys: pytest.CaptureFixture[str]
) -> None:
    measure = Measurement()
    samples = until_conclusive(measure, "env", judge=enough, against=needed, seconds=2)
    assert measure.made == made
    assert samples["attempt"].tolist() == [n for n in range(1, made + 1) for _ in range(2)]
    said = capsys.readouterr().out
    assert said.count("extending the sample") == made - 1
    assert ("Still inconclusive" in said) == (needed == 100)


def test_a_doubt_that_no_sample_settles_is_not_extended() -> None:
    measure = Measurement()

    def judge(samples: pd.DataFrame, against: object) -> Verdict:
        return of(doubts=["one core"], extend=False)

    until_conclusive(measure, "env", judge=judge, against=None, seconds=1)
    assert measure.made == 1
