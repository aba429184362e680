"""Judging: the statistics of the course on one page.

- A *case* is one predicted row, such as "3 replicas".
- An *attempt* is one complete measurement. `Run.measure` makes another one while the verdict is inconclusive, so the
  samples of up to four attempts are judged together; their column `attempt` counts from 1.
- A *finding* is what an attempt, or several taken together, shows of a case: it is settled, in doubt, or a failure.
- A *policy* makes one finding of a case's attempts.
- A sample is *set aside* only by a rule that rests on other evidence than the sample itself, that is applied to every
  sample it could apply to, and that stands in the figure. At least half of a case's samples remain, and never fewer
  than two; else the case is in doubt.

An experiment builds its cases and hands them to `verdict`, which decides: a failure stands, whatever else is in doubt;
a doubt makes the verdict inconclusive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

import pandas as pd

from labs.load.schedule import LAG_LIMIT, LoadReport, load_report
from labs.verdicts import Verdict

LEAST_SHARE = 0.5
"""At least this share of a case's samples must be left, so that an exclusion cannot choose the result."""

FEWEST = 2
"""One sample is no distribution."""

OFF_SCHEDULE = "the load generator could not keep its schedule"


class Kind(StrEnum):
    """The kinds of a finding on a case."""

    SETTLED = "settled"
    DOUBT = "doubt"
    FAILURE = "failure"


class Finding(NamedTuple):
    """The finding on one case. `reason` is a text without measured digits, and empty when the case is settled.

    `certain` marks a failure that no busy machine can produce, such as a wait that was too short.
    """

    kind: Kind
    reason: str = ""
    certain: bool = False


SETTLED = Finding(Kind.SETTLED)


def doubt(reason: str) -> Finding:
    """Return the finding that an attempt cannot decide whether the prediction holds."""
    return Finding(Kind.DOUBT, reason)


def failure(reason: str, *, certain: bool = False) -> Finding:
    """Return the finding that the prediction does not hold."""
    return Finding(Kind.FAILURE, reason, certain)


Policy = Callable[[Sequence[Finding]], Finding]
"""Makes one finding of those of a case's attempts, in their order."""


def pooled(findings: Sequence[Finding]) -> Finding:
    """Take the one finding on all attempts' samples together.

    For medians and shares: more samples make these sharper, so further attempts extend one sample.
    """
    (finding,) = findings
    return finding


def every_attempt(findings: Sequence[Finding]) -> Finding:
    """Let a failure in any attempt stand; else one settled attempt is enough.

    For what no machine can spoil, such as exact counts: a failure seen once was there. A doubt means only that this
    attempt could not show it.
    """
    return _first(findings, Kind.FAILURE) or _first(findings, Kind.SETTLED) or _last(findings)


def seen_twice(findings: Sequence[Finding]) -> Finding:
    """Let a failure stand when two attempts show it and none is settled; one that is `certain` stands alone.

    For waits: a busy machine makes them longer and never shorter, so one good attempt proves that the system can,
    and a single long one proves nothing.
    """
    certain = [finding for finding in findings if finding.certain]
    if certain:
        return certain[0]
    if settled := _first(findings, Kind.SETTLED):
        return settled
    failures = [finding for finding in findings if finding.kind is Kind.FAILURE]
    if len(failures) >= 2:
        return failures[-1]
    return doubt(_last(findings).reason)


def latest(findings: Sequence[Finding]) -> Finding:
    """Take the last attempt's finding alone.

    For checks that another attempt repeats whole, in the same state, so that the earlier ones add nothing.
    """
    return _last(findings)


def _first(findings: Sequence[Finding], kind: Kind) -> Finding | None:
    return next((finding for finding in findings if finding.kind is kind), None)


def _last(findings: Sequence[Finding]) -> Finding:
    return findings[-1] if findings else doubt("not measured")


@dataclass(frozen=True)
class Case:
    """One predicted row, and the findings of its attempts on it.

    `name` stands before each reason; an empty one stands for the experiment as a whole. `details` are the case's
    numbers, for the record.
    """

    name: str
    findings: Sequence[Finding]
    details: Mapping[str, Any] = field(default_factory=dict)

    def reason(self, finding: Finding) -> str:
        """Return the finding's reason with the case's name."""
        return f"{self.name}: {finding.reason}" if self.name else finding.reason


def verdict(
    module: str,
    judged: str,
    cases: Iterable[Case],
    policy: Policy,
    *,
    details: Mapping[str, Any] | None = None,
    extend: bool = True,
) -> Verdict:
    """Judge an experiment by its cases.

    Args:
        module: The experiment's `__name__`.
        judged: What has to hold, in words.
        cases: The cases, in the order of the prediction.
        policy: How the findings of a case's attempts become one.
        details: Numbers for the record; those of the cases are added under `cases`.
        extend: Whether another attempt might settle what is in doubt.
    """
    known = list(cases)
    judged_cases = [(case, policy(case.findings)) for case in known]
    return Verdict.of(
        module,
        judged,
        failures=[case.reason(each) for case, each in judged_cases if each.kind is Kind.FAILURE],
        doubts=[case.reason(each) for case, each in judged_cases if each.kind is Kind.DOUBT],
        details=dict(details or {}) | _details(known),
        extend=extend,
    )


def _details(cases: Sequence[Case]) -> dict[str, Any]:
    rows = [{"case": case.name, **case.details} for case in cases if case.details]
    return {"cases": rows} if rows else {}


@dataclass(frozen=True)
class Counted:
    """A case's samples after an exclusion: those that count, and how many there were.

    `rule` names what was set aside and why, as the figure shows it.
    """

    samples: pd.DataFrame
    of: int
    rule: str

    @property
    def enough(self) -> bool:
        """Whether at least half of the samples are left, and no fewer than two."""
        return len(self.samples) >= max(FEWEST, LEAST_SHARE * self.of)

    @property
    def finding(self) -> Finding | None:
        """Return the doubt of a case of which too few samples are left; None when there are enough."""
        return None if self.enough else doubt(f"too few samples count: {self.rule}")

    @property
    def share(self) -> str:
        """Return "n of m counted", short enough to stand beside a legend."""
        return f"{len(self.samples)} of {self.of} counted"

    def below(self, label: str) -> str:
        """Return an axis label with the rule below it, when anything was set aside."""
        return label if len(self.samples) == self.of else f"{label}\n{self.rule}"

    def __str__(self) -> str:
        """Return the text of the verdict's details and of the figure: "n of m counted"."""
        return self.share if len(self.samples) == self.of else f"{self.share} ({self.rule})"


def set_aside(samples: pd.DataFrame, excluded: pd.Series[bool], rule: str) -> Counted:
    """Return the samples without the excluded ones.

    `rule` completes "set aside: ", such as "other programs used more than half a core".
    """
    return Counted(samples[~excluded], len(samples), f"set aside: {rule}")


@dataclass(frozen=True)
class Schedule:
    """The attempts of a measurement whose load generator kept its schedule, and the reports of all.

    A late generator shapes what it measures, so that an attempt with one shows nothing about the system. That rests
    on the generator's own lag, never on the system's latencies.
    """

    attempts: Sequence[pd.DataFrame]
    kept: Sequence[pd.DataFrame]
    reports: Sequence[LoadReport]

    @property
    def samples(self) -> pd.DataFrame:
        """The rows of the attempts that count; empty when none does."""
        every = pd.concat(list(self.attempts), ignore_index=True)
        return pd.concat(list(self.kept), ignore_index=True) if self.kept else every.iloc[:0]

    @property
    def shown(self) -> pd.DataFrame:
        """The last attempt that counts, or of all when none does: what a figure of one attempt draws."""
        return (self.kept or self.attempts)[-1]

    @property
    def aside(self) -> pd.DataFrame:
        """The rows of the attempts that do not count, which a figure marks; empty when all do."""
        every = pd.concat(list(self.attempts), ignore_index=True)
        return every[~every["attempt"].isin(self.samples["attempt"])]

    @property
    def counted(self) -> Counted:
        """The rows that count, of all rows."""
        total = sum(len(part) for part in self.attempts)
        return Counted(self.samples, total, f"set aside: attempts in which {OFF_SCHEDULE}")

    @property
    def finding(self) -> Finding | None:
        """The doubt when no attempt kept its schedule, or too small a part did; else None."""
        return None if self.counted.enough else doubt(OFF_SCHEDULE)

    def findings(self, find: Callable[[pd.DataFrame], Finding]) -> list[Finding]:
        """Return the finding of `find` on each attempt that counts; the doubt alone when too few do."""
        return [self.finding] if self.finding else [find(part) for part in self.kept]

    @property
    def details(self) -> dict[str, Any]:
        """How each attempt's generator did, and how much counted, for the verdict's details."""
        return {"load": [str(each) for each in self.reports], "counted": str(self.counted)}


def on_schedule(
    samples: pd.DataFrame,
    *,
    lag_limit: float = LAG_LIMIT,
    loads: Callable[[pd.DataFrame], Iterable[pd.DataFrame]] = lambda part: [part],
) -> Schedule:
    """Return the attempts whose load generator kept its schedule.

    `loads` gives the frames of an attempt that each came from one generator (by default the attempt itself); the
    attempt counts when all of them kept it.
    """
    attempts = list(each_attempt(samples))
    reports = [
        [load_report(load, lag_limit=lag_limit) for load in loads(part)] for part in attempts
    ]
    kept = [
        part
        for part, each in zip(attempts, reports, strict=True)
        if all(report.kept_schedule for report in each)
    ]
    return Schedule(attempts, kept, [report for each in reports for report in each])


def each_attempt(samples: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the samples of each attempt, in their order."""
    for _, part in samples.groupby("attempt"):
        yield part


def plural(number: int, noun: str) -> str:
    """Return "1 replica", "3 replicas": the name of a case."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
