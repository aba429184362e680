"""A verdict has the same text on every machine."""

from typing import Any

import pytest

from labs.verdicts import Outcome, Verdict


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
