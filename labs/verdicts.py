"""Verdicts: pass, fail or inconclusive, in words that are the same on every machine.

nbval compares a verdict cell's output strictly, so nothing a verdict displays holds a measured
digit. The numbers are in `Verdict.details`, and in the run's record.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self


class Outcome(StrEnum):
    """What a judgement can say."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


COLOURS = {
    Outcome.PASS: "#00795c",
    Outcome.FAIL: "#b3400a",
    Outcome.INCONCLUSIVE: "#8a6100",
}
"""Colour-blind safe, and readable as text on white and under white text."""


@dataclass(frozen=True)
class Verdict:
    """The judgement of one experiment.

    `judged` says what had to hold. `reasons` say why it did not, or why nobody can tell; they name
    things, never measured numbers. `details` hold the numbers. `extend` marks an inconclusive
    verdict that a larger sample might settle.
    """

    experiment: str
    outcome: Outcome
    judged: str
    reasons: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict, compare=False)
    extend: bool = field(default=False, compare=False)

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
        """Fail if anything failed; else inconclusive if anything is in doubt; else pass.

        `module` is the experiment's `__name__`. A failure that was seen stands, however thin the
        rest of the sample is. Where a doubt puts the failures themselves in question, pass no
        failures. A reason that is given twice is kept once.
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
        return "\n".join(lines + [because + reason for reason in self.reasons])

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
            + "</div>"
        )

    def to_json(self) -> dict[str, Any]:
        """For a record; `from_json` reads it back."""
        return asdict(self) | {"details": dict(self.details)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            **{
                **data,
                "outcome": Outcome(data["outcome"]),
                "reasons": tuple(data["reasons"]),
            }
        )
