"""Canary."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.experiments.phase3.releases import (
    RATE,
    SERVICE,
    Posts,
    doubtful,
    draw_share,
    draw_takers,
    first_version,
    lost,
    strayed,
    tally,
    undisturbed,
)
from labs.figures import canvas, legend, styled
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Can a lab decide on a new version while few clients meet it, and what do those pay?"

THEORY = (
    "A version that fails a share p of its requests is promoted by the chance that at most "
    "c of m answers are errors: the sum over k <= c of C(m, k) p^k (1 - p)^(m - k). Until "
    "then its weight's share w / sum(w) of all requests meets it, and p of those fail."
)

BEFORE, CANARY, DECIDED, AFTER = "version 1", "canary", "decided", "after"

PROMOTED, WITHDRAWN = "promoted", "rolled back"

WEIGHTS = (2, 2, 1)
"""The replicas' shares while the last of them is the canary."""

RATES = {"bad": 0.5, "good": 0.0}
"""Share of errors (status 500) among the answers of each version 2. The bad one leaves version 1."""

ANSWERS, ALLOWED = 20, 1
"""Of so many answers of the canary, so many may be errors."""

CHANCE = 1e-4
"""What is as improbable does not happen by chance."""

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

    The sum is a sampling plan's operating characteristic (Dodge and Romig, 1929). `rates` are the
    p, `answers` m, `allowed` c, and the last of `weights` is the canary's. Columns: `case`, `step`,
    `share` (of version 2), `changing` (what was decided is being done, in stages of a row each),
    `failed` (share of the step's requests), `answers`, `chance` (of being promoted, 0 to 1),
    `decision` (the likelier one).
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
        known: dict[str, Any] = {
            "case": case,
            "answers": answers,
            "chance": chance,
            "decision": decision,
        }
        parts.append(part.assign(changing=part["step"] == DECIDED, failed=failed, **known))
    return pd.concat(parts, ignore_index=True)


def _stages(decision: str, weights: Sequence[int]) -> list[float]:
    """Version 2's share while each of the others in turn is away to follow the canary; or while the
    canary is out of the turn, and while it is replaced.
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
    """Per version 2 of `rates`: the last replica becomes the canary, and by its errors all others
    follow it, or it goes back. `seconds` of version 1 before, and of the outcome afterwards.

    `user-service` must take its time over each user: configure USER_SECONDS. Columns: those of
    `Posts.samples`; `case`, `decision`, `answers` and `errors` (that it was decided by), `runtime`,
    `attempt`.
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
    first_version(env, len(weights))
    alone = (*weights[:-1], 0)
    env.balance("round_robin", SERVICE, weights=alone)
    env.roll(SERVICE, 2, replicas=[len(weights)])
    canary = env[SERVICE].replicas[-1]
    with Posts(env, rate=rate) as posts, canary.failing(500, rate=error_rate):
        posts.step(BEFORE, seconds=seconds)
        posts.step(CANARY)
        env.balance("round_robin", SERVICE, weights=weights)
        seen = posts.watch(canary.id, answers=answers)
        errors = int((seen >= 500).sum())
        decision = decide(errors, allowed)
        posts.step(DECIDED)
        if decision == PROMOTED:
            env.roll(SERVICE, 2, replicas=range(1, len(weights)))
        else:
            env.balance("round_robin", SERVICE, weights=alone)
            env.roll(SERVICE, 1, replicas=[len(weights)])
        posts.step(AFTER, seconds=seconds)
    return posts.samples.assign(decision=decision, answers=len(seen), errors=errors)


def decide(errors: int, allowed: int) -> str:
    """Promote a canary with so few errors, and roll any other back."""
    return PROMOTED if errors <= allowed else WITHDRAWN


def at_most(errors: int, *, of: int, p: float) -> float:
    """The chance that no more than `errors` of so many requests fail, each by the chance `p`."""
    return sum(math.comb(of, k) * p**k * (1 - p) ** (of - k) for k in range(errors + 1))


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Each decision is the predicted one; the good version loses no POST, and the bad one no more
    than its share, and none elsewhere.
    """
    failures: list[str] = []
    details: list[dict[str, Any]] = []
    kept, doubts = undisturbed(samples)
    disturbed = bool(doubts)
    for (attempt, name), mine in kept.groupby(["attempt", "case"], sort=False):
        expected = prediction[prediction["case"] == name]
        row = _count(mine, expected)
        details.append({"attempt": attempt, "case": name, **row})
        failures += [f"{name}: {reason}" for reason in _failures(row)]
        doubts += [f"{name}: {reason}" for reason in (*_doubts(row), *doubtful(mine, row["steps"]))]
    return Verdict.of(
        __name__,
        JUDGED,
        failures=[] if disturbed else dict.fromkeys(failures),
        doubts=dict.fromkeys(doubts),
        details={"cases": details},
    )


def _count(samples: pd.DataFrame, expected: pd.DataFrame) -> dict[str, Any]:
    """One version's release. `exposed` are the requests between the canary's first and last."""
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
        "steps": tally(samples, expected),
    }


def _failures(row: Mapping[str, Any]) -> list[str]:
    if _vague(row):
        return []
    steps = row["steps"]
    found = strayed(steps)
    if not row["failed_predicted"]:
        found += lost(steps)
    elif row["failed_elsewhere"]:
        found.append("a POST failed that the canary had not taken")
    elif row["failed"] and _improbable(row):
        found.append("more POSTs failed than the canary's share brings")
    if abs(row["met"] - row["met_predicted"]) > row["met_predicted"] / 2:
        found.append("another share of the requests met the canary than its weight's")
    if row["errors"] or not row["failed_predicted"]:
        found += [f"{row['decision']}, against the plan"] * (row["decision"] != row["likely"])
    return found


def _vague(row: Mapping[str, Any]) -> bool:
    return bool(CHANCE < row["chance"] < 1 - CHANCE)


def _improbable(row: Mapping[str, Any]) -> bool:
    fewer = at_most(row["failed"] - 1, of=row["exposed"], p=row["failed_predicted"])
    return bool(row["decision"] == WITHDRAWN and 1 - fewer < CHANCE)


def _doubts(row: Mapping[str, Any]) -> list[str]:
    late = row["answers"] < row["answers_planned"]
    found = ["the canary's answers did not come in time"] * late
    found += ["the fault never hit"] * bool(row["failed_predicted"] and not row["errors"])
    return found + ["the plan leaves the decision to chance"] * _vague(row)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Per version 2: who took each request over time (s), and its share and that of errors (%)."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    cases = list(prediction["case"].unique())
    figure, axes = canvas(
        f"A canary of {SERVICE}, and what becomes of it",
        runtime=last["runtime"].iloc[0],
        note="the last replica is the canary",
        rows=2 * len(cases),
        height=0.8 + 3.2 * len(cases),
        ratios=[1.4, 1] * len(cases),
    )
    for number, case in enumerate(cases):
        takers, shares = axes[2 * number : 2 * number + 2]
        mine, expected = (table[table["case"] == case] for table in (last, prediction))
        draw_takers(takers, mine)
        draw_share(shares, mine, expected)
        seen = f"{mine['errors'].iloc[0]} errors in {mine['answers'].iloc[0]} answers"
        title = f"a {case} version 2: {seen}, so it is {mine['decision'].iloc[0]}"
        takers.set_title(title, size=10, pad=18)
    axes[-1].set_xlabel("time since the canary got its first requests (s)")
    legend(figure, axes[0])
    return figure
