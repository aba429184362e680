"""Verdicts: pass, fail or inconclusive, in a text that is the same on every machine.

nbval compares the output of a verdict cell strictly, so a verdict displays no measured digit. The numbers are in
`Verdict.details` and in the run's record.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol, Self


class Outcome(StrEnum):
    """The three outcomes of a judgement."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


COLOURS = {
    Outcome.PASS: "#00795c",
    Outcome.FAIL: "#b3400a",
    Outcome.INCONCLUSIVE: "#8a6100",
}
"""Safe for colour-blind readers, and readable as text on white and as ground of white text."""


class Evidence(Protocol):
    """What shows a failure: text in a terminal, HTML in a notebook."""

    def _repr_html_(self) -> str: ...


@dataclass(frozen=True)
class Verdict:
    """The judgement of one experiment.

    `judged` is what had to hold. `reasons` are why it did not hold, or why the samples cannot decide; they name things,
    never measured numbers. `details` are the numbers. `extend` marks an inconclusive verdict that a larger sample might
    settle. `evidence` displays itself below a verdict that is fail; it is no part of a record.
    """

    experiment: str
    outcome: Outcome
    judged: str
    reasons: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict, compare=False)
    extend: bool = field(default=False, compare=False)
    evidence: Evidence | None = field(default=None, compare=False)

    @classmethod
    def of(
        cls,
        module: str,
        judged: str,
        *,
        failures: Iterable[str] = (),
        doubts: Iterable[str] = (),
        details: Mapping[str, Any] | None = None,
        extend: bool = True,
    ) -> Self:
        """Return fail if there is a failure, else inconclusive if there is a doubt, else pass.

        A failure stands, however small the rest of the sample is. Where a doubt concerns the failures themselves, pass
        no failures. A reason that is given twice is kept once.

        Args:
            module: The experiment's `__name__`.
            judged: What has to hold.
            failures: Why it does not hold.
            doubts: Why the samples cannot decide.
            details: The numbers.
            extend: Whether a larger sample might settle the doubts.
        """
        failed, doubted = tuple(dict.fromkeys(failures)), tuple(dict.fromkeys(doubts))
        outcome = Outcome.FAIL if failed else Outcome.INCONCLUSIVE if doubted else Outcome.PASS
        return cls(
            module.rpartition(".")[2],
            outcome,
            judged,
            reasons=failed or doubted,
            details=dict(details or {}),
            extend=extend and outcome is Outcome.INCONCLUSIVE,
        )

    def __str__(self) -> str:
        lines = [f"{self.outcome.upper()}: {self.experiment}", f"  judged: {self.judged}"]
        because = "  because: " if self.outcome is Outcome.FAIL else "  in doubt: "
        evidence = [str(self.evidence)] if self.evidence else []
        return "\n".join([*lines, *(because + reason for reason in self.reasons), *evidence])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        colour = COLOURS[self.outcome]
        reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in self.reasons)
        return (
            f'<div style="border-left:4px solid {colour};padding:.3em .8em">'
            f'<strong style="color:white;background:{colour};padding:.1em .5em;'
            f'border-radius:3px">{self.outcome.upper()}</strong> '
            f"<strong>{html.escape(self.experiment)}</strong><br>{html.escape(self.judged)}"
            + (f"<ul>{reasons}</ul>" if reasons else "")
            + (self.evidence._repr_html_() if self.evidence else "")
            + "</div>"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as a JSON object, which `from_json` reads."""
        kept = asdict(replace(self, evidence=None)) | {"details": dict(self.details)}
        del kept["evidence"]
        return kept

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the verdict of a JSON object that `to_json` made."""
        return cls(
            **{
                **data,
                "outcome": Outcome(data["outcome"]),
                "reasons": tuple(data["reasons"]),
            }
        )
