"""Every policy and rule of judging, with the wrong result that each one prevents."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest

from labs.judging import (
    OFF_SCHEDULE,
    SETTLED,
    Case,
    Counted,
    Finding,
    Policy,
    doubt,
    each_attempt,
    every_attempt,
    failure,
    latest,
    on_schedule,
    plural,
    pooled,
    seen_twice,
    set_aside,
    verdict,
)
from labs.verdicts import Outcome, Verdict

LOST = failure("an order was lost")
ALSO_LOST = failure("two orders were lost")
SLOW = failure("the wait was too long")
TOO_SHORT = failure("the wait was too short", certain=True)
BUSY = doubt("the machine was busy")
FEW = doubt("too few samples")


@pytest.mark.parametrize(
    ("policy", "findings", "result"),
    [
        # One finding on all samples, whatever it is.
        (pooled, [SETTLED], SETTLED),
        (pooled, [BUSY], BUSY),
        (pooled, [LOST], LOST),
        # A failure that was seen once was there: a good attempt does not excuse it.
        (every_attempt, [SETTLED, LOST], LOST),
        (every_attempt, [LOST, SETTLED, ALSO_LOST], LOST),
        (every_attempt, [BUSY, LOST], LOST),
        # A doubt only says that its attempt could not see it.
        (every_attempt, [BUSY, SETTLED], SETTLED),
        (every_attempt, [SETTLED, BUSY], SETTLED),
        (every_attempt, [BUSY, FEW], FEW),
        # One long wait proves nothing: a busy machine makes it.
        (seen_twice, [SLOW], doubt(SLOW.reason)),
        (seen_twice, [BUSY, SLOW], doubt(SLOW.reason)),
        (seen_twice, [SLOW, BUSY], BUSY),
        # Two do, unless an attempt shows that the system can.
        (seen_twice, [SLOW, SLOW], SLOW),
        (seen_twice, [LOST, BUSY, SLOW], SLOW),
        (seen_twice, [SLOW, SLOW, SETTLED], SETTLED),
        (seen_twice, [SETTLED, SLOW, SLOW], SETTLED),
        (seen_twice, [BUSY], BUSY),
        # No busy machine makes a wait too short, so that no good attempt excuses one.
        (seen_twice, [TOO_SHORT], TOO_SHORT),
        (seen_twice, [SETTLED, TOO_SHORT], TOO_SHORT),
        (seen_twice, [SLOW, TOO_SHORT, SETTLED], TOO_SHORT),
        # The last attempt repeated the whole check.
        (latest, [LOST, SETTLED], SETTLED),
        (latest, [SETTLED, LOST], LOST),
        (latest, [SETTLED, BUSY], BUSY),
    ],
)
def test_a_policy_makes_one_finding_of_the_attempts(
    policy: Policy, findings: Sequence[Finding], result: Finding
) -> None:
    assert policy(findings) == result


@pytest.mark.parametrize("policy", [every_attempt, seen_twice, latest])
def test_a_case_that_was_not_measured_is_in_doubt(policy: Policy) -> None:
    assert policy([]) == doubt("not measured")


@pytest.mark.parametrize("findings", [[], [SETTLED, SETTLED]])
def test_pooled_refuses_anything_but_one_finding(findings: list[Finding]) -> None:
    """A judge that pools samples and yet makes a finding per attempt has another policy in mind."""
    with pytest.raises(ValueError, match="values to unpack"):
        pooled(findings)


def judge(*cases: Case, policy: Policy = latest, **more: Any) -> Verdict:
    return verdict("labs.experiments.phase1.hop", "nothing is lost", cases, policy, **more)


@pytest.mark.parametrize(
    ("findings", "outcome"),
    [
        ([SETTLED, SETTLED], Outcome.PASS),
        ([SETTLED, BUSY], Outcome.INCONCLUSIVE),
        ([BUSY, LOST], Outcome.FAIL),
        ([LOST, SETTLED], Outcome.FAIL),
        ([], Outcome.PASS),
    ],
)
def test_one_case_decides_and_a_failure_before_a_doubt(
    findings: list[Finding], outcome: Outcome
) -> None:
    given = judge(*(Case(f"case {n}", [each]) for n, each in enumerate(findings)))
    assert given.outcome is outcome
    assert given.experiment == "hop"


def test_a_reason_has_its_case_before_it() -> None:
    given = judge(Case("2 replicas", [LOST]), Case("", [ALSO_LOST]), Case("3 replicas", [SETTLED]))
    assert given.reasons == ("2 replicas: an order was lost", "two orders were lost")


def test_the_policy_decides_each_case_by_itself() -> None:
    """One long wait in each of two cases is not one that was seen twice."""
    given = judge(Case("a", [SLOW]), Case("b", [SLOW]), policy=seen_twice)
    assert given.outcome is Outcome.INCONCLUSIVE


def test_the_details_hold_the_numbers_of_the_cases() -> None:
    measured = Case("a", [SETTLED], {"ratio": 1.5})
    given = judge(measured, Case("b", [SETTLED]), details={"sent": 3})
    assert given.details == {"sent": 3, "cases": [{"case": "a", "ratio": 1.5}]}
    assert judge(Case("b", [SETTLED])).details == {}


@pytest.mark.parametrize(
    ("extend", "finding", "again"),
    [(True, BUSY, True), (False, BUSY, False), (True, LOST, False), (True, SETTLED, False)],
)
def test_only_what_more_samples_might_settle_is_extended(
    extend: bool, finding: Finding, again: bool
) -> None:
    assert judge(Case("a", [finding]), extend=extend).extend is again


def counted(left: int, of: int) -> Counted:
    samples = pd.DataFrame({"value": range(of)})
    return set_aside(samples, samples["value"] >= left, "others used the cores")


@pytest.mark.parametrize(
    ("left", "of", "enough"),
    [
        (6, 6, True),
        (3, 6, True),
        (2, 6, False),  # a third: an exclusion of two in three samples chooses the result
        (3, 7, False),
        (2, 4, True),
        (2, 2, True),
        (1, 2, False),  # half, and no distribution
        (1, 1, False),
        (0, 0, False),
    ],
)
def test_half_of_the_samples_and_two_must_be_left(left: int, of: int, enough: bool) -> None:
    part = counted(left, of)
    assert part.enough is enough
    assert part.samples["value"].tolist() == list(range(left))
    expected = None if enough else doubt("too few samples count: set aside: others used the cores")
    assert part.finding == expected


def test_an_exclusion_is_stated_with_its_count() -> None:
    assert str(counted(3, 6)) == "3 of 6 counted (set aside: others used the cores)"
    assert str(counted(6, 6)) == "6 of 6 counted"


def test_no_measured_digit_is_in_a_reason() -> None:
    assert not any(letter.isdigit() for letter in counted(2, 6).finding.reason)  # type: ignore[union-attr]


def attempts(*lags: float, rows: int = 100) -> pd.DataFrame:
    """One attempt per lag (s): 100 requests, 100 per second, each late by that lag at its end."""
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "attempt": number,
                    "stream": ["read", "write"] * (rows // 2),
                    "intended": [n / 100 for n in range(rows)],
                    "lag": lag,
                    "latency": 0.01,
                }
            )
            for number, lag in enumerate(lags, start=1)
        ],
        ignore_index=True,
    )


ON_TIME, LATE = 0.001, 0.1


@pytest.mark.parametrize(
    ("lags", "kept", "finding"),
    [
        ([ON_TIME], [1], None),
        ([LATE], [], doubt(OFF_SCHEDULE)),
        ([LATE, ON_TIME], [2], None),  # one of two is half of the samples
        ([LATE, ON_TIME, LATE], [2], doubt(OFF_SCHEDULE)),  # a third chooses the result
        ([LATE, ON_TIME, LATE, ON_TIME], [2, 4], None),
    ],
)
def test_an_attempt_counts_when_its_generator_kept_its_schedule(
    lags: list[float], kept: list[int], finding: Finding | None
) -> None:
    schedule = on_schedule(attempts(*lags))
    assert [part["attempt"].iloc[0] for part in schedule.kept] == kept
    assert schedule.samples["attempt"].unique().tolist() == kept
    assert schedule.finding == finding
    assert len(schedule.reports) == len(schedule.attempts) == len(lags)


def test_a_slow_system_is_no_reason_to_set_an_attempt_aside() -> None:
    """The rule rests on the generator's lag: long latencies are what is measured."""
    assert on_schedule(attempts(ON_TIME).assign(latency=30.0)).finding is None


def test_a_lag_limit_may_be_wider_where_no_latency_is_judged() -> None:
    assert on_schedule(attempts(LATE), lag_limit=1.0).finding is None


def test_an_attempt_counts_only_if_all_its_generators_kept_theirs() -> None:
    def by_stream(part: pd.DataFrame) -> list[pd.DataFrame]:
        return [load for _, load in part.groupby("stream")]

    samples = attempts(ON_TIME)
    samples.loc[samples["stream"] == "write", "lag"] = LATE
    schedule = on_schedule(samples, loads=by_stream)
    assert [report.kept_schedule for report in schedule.reports] == [True, False]
    assert schedule.finding == doubt(OFF_SCHEDULE)
    assert schedule.samples.columns.tolist() == samples.columns.tolist()


def test_the_details_state_each_generator_and_how_much_counted() -> None:
    details = on_schedule(attempts(LATE, ON_TIME)).details
    assert ["lagged" in text for text in details["load"]] == [True, False]
    rule = f"set aside: attempts in which {OFF_SCHEDULE}"
    assert details["counted"] == f"100 of 200 counted ({rule})"


def test_attempts_come_in_their_order() -> None:
    samples = pd.DataFrame({"attempt": [2, 1, 2, 10], "value": [3, 1, 4, 5]})
    assert [part["value"].tolist() for part in each_attempt(samples)] == [[1], [3, 4], [5]]


@pytest.mark.parametrize(("number", "text"), [(0, "0 replicas"), (1, "1 replica"), (3, "3 replicas")])  # fmt: skip
def test_a_number_of_things_is_a_name(number: int, text: str) -> None:
    assert plural(number, "replica") == text
