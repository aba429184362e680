"""Circuit breaker: the calls that reach an upstream that fails, counted at the upstream."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx
import pandas as pd

from environment.waiting import wait_until
from labs.evidence import Counterexample
from labs.experiments.phase1.payments import Payments
from labs.figures import (
    BLUE,
    FAULT,
    GREEN,
    INK,
    ORANGE,
    PREDICTION,
    SOFT,
    VERMILLION,
    canvas,
    legend,
    name_fault,
    styled,
)
from labs.guessing import EXACT, Guess
from labs.judging import (
    SETTLED,
    Case,
    Finding,
    doubt,
    each_attempt,
    every_attempt,
    failure,
    verdict,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment
    from labs.verdicts import Verdict

TITLE = "How many calls reach an upstream that fails, behind a circuit breaker?"

THEORY = (
    "A 4xx shows that the upstream works, so every refused request reaches it; the breaker "
    "opens after exactly its number of failures in a row; then nothing reaches the "
    "upstream; when the open time is over one of the waiting requests is the probe, and "
    "after its success all requests pass again."
)

REFUSALS, FAILURES, OPEN, WAITING, AFTER = "refusals", "failures", "open", "waiting", "after"
"""The parts of the experiment, in their order. The breaker decides where `failures` end and `open`
begins."""

MARGIN = 0.05
"""Seconds to wait beyond the open time, which is counted on the client's clock."""

OVERLAP = 0.2
"""Least seconds between the last waiting request and the probe's end; with fewer, some may have come
after it."""

ENOUGH = 5
"""Requests that the open breaker must have refused before the judge concludes that it passes none."""

JUDGED = (
    "refusals (404) never open the breaker and exactly its number of failures does; while it is "
    "open nothing reaches the upstream; of the requests that wait for its end exactly one is the probe"
)

WRONG = {
    REFUSALS: "refusals (404) opened the breaker",
    FAILURES: "the breaker did not open after exactly its number of failures",
    OPEN: "requests reached the upstream while the breaker was open",
    WAITING: "not exactly one of the waiting requests reached the upstream",
    AFTER: "the breaker did not close after its probe had succeeded",
}
"""The reason of a failure in each part."""

GUESSES = {
    "probes": Guess(
        "The breaker is open, and dozens of requests come at the moment at which its open time is "
        "over. How many of them reach payment-service?",
        "requests",
        measured=lambda samples: count(list(each_attempt(samples))[-1])[WAITING],
        right=EXACT,
        reference=1,
        theory=lambda prediction: prediction.set_index("part")["calls"][WAITING],
    ),
}


def predict(*, failures: int = 3, refusals: int = 100, after: int = 3) -> pd.DataFrame:
    """Return `THEORY` as calls that reach the upstream in each part.

    `failures` is BREAKER_FAILURES; `refusals` and `after` are the requests sent before and after.
    Columns: `part`, `calls`.
    """
    calls = {REFUSALS: refusals, FAILURES: failures, OPEN: 0, WAITING: 1, AFTER: after}
    return pd.DataFrame({"part": list(calls), "calls": list(calls.values())})


def measure(
    env: Environment,
    *,
    open_seconds: float = 5,
    slow_seconds: float = 0.8,
    refusals: int = 100,
    failures: int = 20,
    waiting: int = 50,
    after: int = 3,
) -> pd.DataFrame:
    """Return one row per payment through a gateway whose breaker stays open for `open_seconds`.

    payment-service answers `refusals` payments with 404, and `failures` with 503; `waiting` ones
    are sent together when the open time is over: by then it works, but is slowed by `slow_seconds`.
    Columns: those of `Payments` (`failures` and `open` both as `failures`; `state` is drawn, never
    judged), `open_seconds`, `runtime`, `attempt`. Leaves the gateway with that open time.
    """
    env.configure("api-gateway", BREAKER_OPEN_SECONDS=open_seconds, RETRY_TRIES=1)
    payment = env["payment-service"]
    with httpx.Client(timeout=30) as client:
        payments = Payments(client, env["api-gateway"].url, payment.url)
        with payment.failing(404):
            rows = [payments.one(REFUSALS) for _ in range(refusals)]
        with payment.failing(503):
            rows += [payments.one(FAILURES) for _ in range(failures)]
        with payment.slowed(slow_seconds):
            over = rows[-1]["ended"] + open_seconds + MARGIN
            wait_until(lambda: time.time() >= over, timeout=open_seconds + 1)
            rows += payments.together(WAITING, waiting)
        rows += [payments.one(AFTER) for _ in range(after)]
    return pd.DataFrame(rows).assign(open_seconds=open_seconds, runtime=env.runtime, attempt=1)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Return an exact verdict, part by part, from payment-service's own count.

    Requests count as sent to an open breaker only where they were answered before it can have
    begun to pass one. Inconclusive where there were too few of these, where a fault never
    hit, and where the waiting requests did not all come while the probe was under way.

    Policy `every_attempt`, one case per part: a count that is wrong once is wrong.
    """
    attempts = list(each_attempt(samples))
    cases = [
        Case(row["part"], [_finding(part, row["part"], row["calls"]) for part in attempts])
        for row in prediction.to_dict("records")
    ]
    counts = [count(part) for part in attempts]
    details = {"calls": counts[-1], "attempts": counts}
    return verdict(__name__, JUDGED, cases, every_attempt, details=details)


def _finding(attempt: pd.DataFrame, part: str, calls: int) -> Finding:
    if reason := _doubts(attempt).get(part):
        return doubt(reason)
    return SETTLED if count(attempt)[part] == calls else failure(WRONG[part])


def count(attempt: pd.DataFrame) -> dict[str, int]:
    """Return the calls that reached the upstream in each part."""
    parts = split(attempt)
    all_failing = attempt[attempt["part"] == FAILURES]
    before = {
        REFUSALS: attempt[:0],
        FAILURES: parts[REFUSALS],
        OPEN: pd.concat([parts[REFUSALS], parts[FAILURES]]),
        WAITING: all_failing,  # those that `split` left out, too
        AFTER: parts[WAITING],
    }
    return {part: _calls(rows, since=_calls(before[part])) for part, rows in parts.items()}


def _calls(rows: pd.DataFrame, since: int = 0) -> int:
    return int(rows["calls"].max()) - since if len(rows) else 0


def split(attempt: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the requests of one attempt by part.

    `open` begins with the first failure that never reached the upstream; requests that came too
    late in it to be certain that the breaker was still open are left out.
    """
    parts = {part: attempt[attempt["part"] == part] for part in (REFUSALS, FAILURES)}
    failing = parts[FAILURES]
    earlier = failing["calls"].shift(fill_value=_calls(parts[REFUSALS]))
    opened = (failing["calls"] == earlier).cumsum() > 0
    last_failure = failing.loc[~opened, "sent"].max()
    certain = failing["ended"] <= last_failure + failing["open_seconds"]
    parts |= {FAILURES: failing[~opened], OPEN: failing[opened & certain]}
    return parts | {part: attempt[attempt["part"] == part] for part in (WAITING, AFTER)}


def _doubts(attempt: pd.DataFrame) -> dict[str, str]:
    """Return the reason for each part that is in doubt."""
    parts, reasons = split(attempt), {}
    if not (parts[REFUSALS]["status"] >= 400).all():
        reasons[REFUSALS] = "the fault never hit: a payment that should be refused succeeded"
    if not (parts[FAILURES]["status"] >= 500).all():
        reasons[FAILURES] = "the fault never hit: a payment that should fail succeeded"
    if len(parts[OPEN]) < ENOUGH:
        reasons[OPEN] = "too few requests while the breaker was open"
    waiting = parts[WAITING]
    probe_ended = waiting.loc[waiting["status"] == 200, "ended"].min()
    if waiting["sent"].max() > probe_ended - OVERLAP:
        reasons[WAITING] = "not all waiting requests came while the probe was under way"
    return reasons


def evidence(samples: pd.DataFrame, prediction: pd.DataFrame) -> Counterexample | None:
    """Return the payment that shows the first wrong part; None where the samples have no ids."""
    if "correlation" not in samples:
        return None
    for attempt in each_attempt(samples):
        counted, parts, doubts = count(attempt), split(attempt), _doubts(attempt)
        reached = attempt["calls"] > attempt["calls"].shift(fill_value=0)
        for part, calls in prediction.set_index("part")["calls"].items():
            rows = parts[str(part)]
            if part not in doubts and counted[str(part)] != calls and len(rows):
                return _shown(str(part), rows, reached[rows.index], calls)
    return None


def _shown(part: str, rows: pd.DataFrame, reached: pd.Series[bool], calls: int) -> Counterexample:
    """Return the payment that shows that more or fewer than `calls` calls reached the upstream in a part."""
    passed, refused, paid = rows[reached], rows[~reached], rows[rows["status"] == 200]
    early = part == FAILURES and len(passed) < calls
    text, shown = {
        REFUSALS: ("the last payment that payment-service refused with 404", passed[-1:]),
        FAILURES: ("a payment that should have met an open breaker", passed[calls : calls + 1]),
        OPEN: ("a payment that an open breaker let through", passed[:1]),
        WAITING: ("a payment that the breaker let through beside the probe", paid[1:2]),
        AFTER: ("a payment that the breaker refused after a good probe", refused[:1]),
    }[part]
    if early:
        text, shown = "the payment whose failure opened the breaker too early", passed[-1:]
    if shown.empty:
        text, shown = f"the first payment of the part {part!r}", rows[:1]
    return Counterexample(str(shown["correlation"].iloc[0]), text)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the breaker's state, each request's outcome, and the calls that reached the upstream.

    The calls are drawn per part, with the prediction dashed.
    """
    last = samples[samples["attempt"] == samples["attempt"].max()]
    began = last["sent"].min()
    last = last.assign(sent=last["sent"] - began, ended=last["ended"] - began)
    while_open = count(last)[OPEN]
    figure, axes = canvas(
        f"Of {len(last)} payments {last['calls'].max()} were passed on, {while_open} by an open breaker",
        runtime=last["runtime"].iloc[0],
        note=f"open time {last['open_seconds'].iloc[0]:g} s; dotted: no request was sent",
        rows=3,
        height=5.8,
        ratios=(0.8, 1.3, 1.4),
    )
    _draw_state(axes[0], last)
    _draw_outcomes(axes[1], last)
    _draw_calls(axes[2], last, prediction)
    for part, text in ((REFUSALS, "it answers 404"), (FAILURES, "503"), (WAITING, "slow")):
        sent = last[last["part"] == part]
        span = sent["sent"].min(), sent["ended"].max()
        for ax in axes:
            ax.axvspan(*span, **FAULT)
        name_fault(axes[0], *span, text)
    axes[-1].set_xlabel("time since the first payment (s)")
    legend(figure, axes[2])
    return figure


def _draw_state(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the state that each request showed, dotted where no request showed one, and the open time."""
    states = ("closed", "half-open", "open")
    # A waiting request finds the state; an earlier one leaves it behind.
    at = rows["sent"].where(rows["part"].isin([WAITING, AFTER]), rows["ended"])
    height = rows["state"].map(states.index)
    before = rows["part"].isin([REFUSALS, FAILURES])
    ax.plot([at[before].max(), at[~before].min()], [height[before].iloc[-1]] * 2, ":", color=BLUE)
    for part in (before, ~before):
        ax.step(at[part], height[part], where="post", color=BLUE)
    failing = split(rows)[FAILURES]
    if len(failing):
        opened = failing["ended"].max()
        over = opened + rows["open_seconds"].iloc[0]
        ax.annotate(
            "", (over, 1.55), (opened, 1.55), arrowprops={"arrowstyle": "<->", "color": INK}
        )
        ax.axvline(over, 0, 0.9, **(PREDICTION | {"linewidth": 1.0}))
        text = "open time; then the next request is the probe"
        ax.annotate(text, (over, 1.3), xytext=(5, 0), textcoords="offset points", size=8.5)
    ax.set_yticks(range(3), states)
    ax.set_ylim(-0.4, 2.4)
    ax.set_ylabel("breaker")


def _draw_outcomes(ax: Axes, rows: pd.DataFrame) -> None:
    # Of the waiting requests only the sum is known; those that failed never reached the upstream.
    called = (rows["calls"] > rows["calls"].shift(fill_value=0)) & (rows["part"] != WAITING)
    kinds = {
        "200, paid": (rows["status"] == 200, GREEN),
        "404, refused": (rows["status"] == 404, ORANGE),
        "503 of payment-service": ((rows["status"] == 503) & called, VERMILLION),
        "503 of the gateway": ((rows["status"] == 503) & ~called, SOFT),
    }
    for height, (chosen, colour) in enumerate(kinds.values()):
        at = rows.loc[chosen, "ended"]
        ax.plot(at, [height] * len(at), "|", color=colour, ms=9, mew=1.4)
    ax.set_yticks(range(len(kinds)), kinds)
    ax.set_ylim(-0.6, len(kinds) - 0.4)
    ax.set_title("the responses")


def _draw_calls(ax: Axes, rows: pd.DataFrame, prediction: pd.DataFrame) -> None:
    counted, parts = count(rows), split(rows)
    for row in prediction.to_dict("records"):
        requests = parts[row["part"]]
        if requests.empty:
            continue
        span = [requests["sent"].min(), requests["ended"].max()]
        first = row["part"] == REFUSALS
        ax.plot(span, [counted[row["part"]]] * 2, color=BLUE, lw=5, label="measured" * first)
        ax.plot(span, [row["calls"]] * 2, label="predicted" * first, **PREDICTION)
    ax.set_yscale("symlog", linthresh=1)
    ax.set_yticks([0, 1, 3, 10, 100], ["0", "1", "3", "10", "100"])
    ax.set_ylim(-0.4, 2.5 * prediction["calls"].max())
    ax.set_title("calls that reached payment-service, in each part (count)")
