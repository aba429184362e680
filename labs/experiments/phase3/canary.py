"""Canary: a new version gets a small share of the requests first, and its errors decide whether it is promoted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.experiments.phase3.attempts import drawn_attempt, note_attempt
from labs.experiments.phase3.releases import (
    RATE,
    SERVICE,
    Attempts,
    Posts,
    count_steps,
    draw_replicas,
    draw_share,
    sort_attempts,
    start_version_1,
)
from labs.experiments.phase3.sampling_plan import PROMOTED, WITHDRAWN, at_most, decide
from labs.figures import canvas, legend, styled
from labs.judging import SETTLED, Case, Finding, doubt, every_attempt, failure, verdict
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Can few requests decide a release, and how many of them fail?"

THEORY = (
    "A version that fails a share p of its requests is promoted when at most c of its first m "
    "answers are errors. The probability of that is the sum over k <= c of "
    "C(m, k) p^k (1 - p)^(m - k). Until the decision the canary serves its weight's share "
    "w / sum(w) of all requests, and p of those fail."
)

BEFORE, CANARY, DECIDED, AFTER = "version 1", "canary", "decided", "after"

WEIGHTS = (2, 2, 1)
"""The replicas' shares while the last of them is the canary."""

RATES = {"bad": 0.5, "good": 0.0}
"""Share of errors (status 500) among the answers of each version 2. The bad one leaves version 1."""

ANSWERS, ALLOWED = 20, 1
"""Of that many answers of the canary, so many may be errors."""

CHANCE = 1e-4
"""An event that is less probable does not happen by chance."""

JUDGED = (
    "the good version is promoted and loses no POST; the bad one is rolled back, after no more "
    "errors than its share of the requests brings, and none of them elsewhere"
)


def predict(
    rates: Mapping[str, float] = RATES,
    *,
    weights: Sequence[int] = WEIGHTS,
    answers: int = ANSWERS,
    allowed: int = ALLOWED,
) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    The sum is a sampling plan's operating characteristic (Dodge and Romig, 1929).

    Args:
        rates: p of each version 2, by its name.
        weights: The replicas' shares; the last one is the canary's.
        answers: m.
        allowed: c.

    Returns:
        Columns: `case`, `step`, `share` (of version 2, 0 to 1), `changing` (whether the decision is
        being carried out, in stages of a row each), `failed` (share of the step's requests),
        `answers`, `chance` (of being promoted, 0 to 1), `decision` (the likelier one).
    """
    met = weights[-1] / sum(weights)
    parts = []
    for case, p in rates.items():
        chance = at_most(allowed, of=answers, p=p)
        decision = PROMOTED if chance > 0.5 else WITHDRAWN
        stages = [(DECIDED, share) for share in _stages(decision, weights)]
        rows = [(BEFORE, 0.0), (CANARY, met), *stages, (AFTER, float(decision == PROMOTED))]
        part = pd.DataFrame(rows, columns=["step", "share"])
        failed = (part["step"] == CANARY) * met * p
        part = part.assign(changing=part["step"] == DECIDED, failed=failed)
        parts.append(part.assign(case=case, answers=answers, chance=chance, decision=decision))
    return pd.concat(parts, ignore_index=True)


def _stages(decision: str, weights: Sequence[int]) -> list[float]:
    """Return version 2's share in each stage of carrying out a decision.

    Promoted: while each of the others in turn is away to follow the canary. Rolled back: while the
    canary gets nothing, and while it is replaced.
    """
    if decision == WITHDRAWN:
        return [0.0, 0.0]
    *others, canary = weights
    return [
        (canary + sum(others[:done])) / (sum(weights) - away) for done, away in enumerate(others)
    ]


def measure(
    env: Environment,
    *,
    rates: Mapping[str, float] = RATES,
    weights: Sequence[int] = WEIGHTS,
    answers: int = ANSWERS,
    allowed: int = ALLOWED,
    rate: float = RATE,
    seconds: float = 0.5,
) -> pd.DataFrame:
    """Make the last replica a canary of each version 2 of `rates`, and decide by its errors.

    All others follow it, or it goes back. Version 1 serves for `seconds` before, and the outcome for
    as long afterwards. `user-service` must take its time over each user: configure USER_SECONDS.

    Args:
        env: The system.
        rates: Share of errors among the answers of each version 2.
        weights: The replicas' shares; the last one is the canary's.
        answers: How many answers of the canary the decision waits for.
        allowed: How many of them may be errors.
        rate: Users per second.
        seconds: Of version 1, and of the outcome.

    Returns:
        Columns: those of `Posts.samples`; `case`, `decision`, `answers` and `errors` (by which it
        was decided), `runtime`, `attempt`.
    """
    parts = []
    for case, errors in rates.items():
        part = _release(env, errors, weights, answers, allowed, rate=rate, seconds=seconds)
        parts.append(part.assign(case=case))
    env.balance("round_robin", SERVICE)
    return pd.concat(parts, ignore_index=True).assign(runtime=env.runtime, attempt=1)


def _release(
    env: Environment,
    error_rate: float,
    weights: Sequence[int],
    answers: int,
    allowed: int,
    *,
    rate: float,
    seconds: float,
) -> pd.DataFrame:
    start_version_1(env, len(weights))
    alone = (*weights[:-1], 0)
    env.balance("round_robin", SERVICE, weights=alone)
    env.roll(SERVICE, 2, replicas=[len(weights)])
    canary = env[SERVICE].replicas[-1]
    with Posts(env, rate=rate) as posts, canary.failing(500, rate=error_rate):
        posts.step(BEFORE, seconds=seconds)
        posts.step(CANARY)
        env.balance("round_robin", SERVICE, weights=weights)
        statuses = posts.watch(canary.id, answers=answers)
        errors = int((statuses >= 500).sum())
        decision = decide(errors, allowed)
        posts.step(DECIDED)
        if decision == PROMOTED:
            env.roll(SERVICE, 2, replicas=range(1, len(weights)))
        else:
            env.balance("round_robin", SERVICE, weights=alone)
            env.roll(SERVICE, 1, replicas=[len(weights)])
        posts.step(AFTER, seconds=seconds)
    return posts.samples.assign(decision=decision, answers=len(statuses), errors=errors)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare each decision with the predicted one, and what it cost with the canary's share.

    The good version loses no POST; the bad one fails no more than its share, and none elsewhere.

    Policy: every attempt. A POST that was lost once was lost, and the probabilities are such that
    another decision than the predicted one is no chance.
    """
    attempts = sort_attempts(samples, _loads)
    cases = [
        case
        for name, expected in prediction.groupby("case", sort=False)
        for case in _cases(str(name), attempts, expected)
    ]
    return verdict(
        __name__, JUDGED, [attempts.case, *cases], every_attempt, details=attempts.details
    )


def _loads(attempt: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for _, release in attempt.groupby("case", sort=False):
        yield release


def _cases(name: str, attempts: Attempts, expected: pd.DataFrame) -> Iterator[Case]:
    """Yield the case of one version's decision, then those of its steps."""
    releases = [attempt[attempt["case"] == name] for attempt in attempts.recorded]
    costs = [count_cost(release, expected) for release in releases]
    yield Case(name, attempts.judged(_finding(cost) for cost in costs), {"attempts": costs})
    if _vague(costs[0]):
        return
    counts = [count_steps(release, expected) for release in releases]
    for steps in zip(*counts, strict=True):
        findings = [
            step.of_versions if costs[0]["failed_predicted"] else step.finding for step in steps
        ]
        details = {"attempts": [step.details for step in steps]}
        yield Case(f"{name}: {steps[0].name}", attempts.judged(findings), details)


def count_cost(samples: pd.DataFrame, expected: pd.DataFrame) -> dict[str, Any]:
    """Return what one version's release in one attempt cost, and what was predicted.

    `exposed` are the requests between the canary's first and last, `met` the share of them that it
    served while it was the canary.
    """
    plan = expected[expected["step"] == CANARY].iloc[0]
    new, failed = samples["version"] == "2", ~samples["ok"]
    exposed = samples["sent"].between(*samples.loc[new, "sent"].agg(["min", "max"]))
    return {
        "decision": samples["decision"].iloc[0],
        "likely": plan["decision"],
        "chance": float(plan["chance"]),
        "answers": int(samples["answers"].iloc[0]),
        "answers_planned": int(plan["answers"]),
        "errors": int(samples["errors"].iloc[0]),
        "exposed": int(exposed.sum()),
        "met": float(new[exposed & (samples["step"] == CANARY)].mean()),
        "met_predicted": float(plan["share"]),
        "failed": int(failed.sum()),
        "failed_elsewhere": int((failed & ~new).sum()),
        "failed_predicted": float(plan["failed"]),
    }


def _finding(cost: Mapping[str, Any]) -> Finding:
    if _vague(cost):
        return doubt("the plan leaves the decision to chance")
    decided = cost["errors"] or not cost["failed_predicted"]
    if decided and cost["decision"] != cost["likely"]:
        return failure(f"{cost['decision']}, against the plan")
    if cost["failed_predicted"] and cost["failed_elsewhere"]:
        return failure("a POST failed that the canary had not served")
    if cost["failed_predicted"] and cost["failed"] and _improbable(cost):
        return failure("more POSTs failed than the canary's share brings")
    if abs(cost["met"] - cost["met_predicted"]) > cost["met_predicted"] / 2:
        return failure("another share of the requests met the canary than its weight's")
    if cost["answers"] < cost["answers_planned"]:
        return doubt("the canary's answers did not come in time")
    return SETTLED if decided else doubt("the fault never hit")


def _vague(cost: Mapping[str, Any]) -> bool:
    return bool(CHANCE < cost["chance"] < 1 - CHANCE)


def _improbable(cost: Mapping[str, Any]) -> bool:
    fewer = at_most(cost["failed"] - 1, of=cost["exposed"], p=cost["failed_predicted"])
    return bool(cost["decision"] == WITHDRAWN and 1 - fewer < CHANCE)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw per version 2 which replica served each request over time (s), and its share (%)."""
    drawn = drawn_attempt(samples, sort_attempts(samples, _loads).clear)
    cases = list(prediction["case"].unique())
    decisions = drawn.groupby("case", sort=False)["decision"].first()
    figure, axes = canvas(
        "; ".join(f"the {case} version 2 was {decisions[case]}" for case in cases).capitalize(),
        runtime=drawn["runtime"].iloc[0],
        note=f"{len(drawn)} POSTs; the last replica is the canary{note_attempt(samples, drawn)}",
        rows=2 * len(cases),
        height=0.8 + 3.2 * len(cases),
        ratios=[1.4, 1] * len(cases),
    )
    for number, case in enumerate(cases):
        replicas, shares = axes[2 * number : 2 * number + 2]
        release, expected = (table[table["case"] == case] for table in (drawn, prediction))
        draw_replicas(replicas, release)
        draw_share(shares, release, expected)
        errors = f"{release['errors'].iloc[0]} errors in {release['answers'].iloc[0]} answers"
        title = f"a {case} version 2: {errors}, so it is {release['decision'].iloc[0]}"
        replicas.set_title(title, size=10, pad=18)
    axes[-1].set_xlabel("time since the canary got its first requests (s)")
    legend(figure, axes[0])
    return figure
