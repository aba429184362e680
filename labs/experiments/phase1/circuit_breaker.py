"""Circuit breaker."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import pandas as pd

from environment.waiting import wait_until
from labs.experiments.phase1.metrics import answered, read_metrics
from labs.figures import (
    BLUE,
    FAULT,
    GREEN,
    ORANGE,
    PREDICTION,
    SOFT,
    VERMILLION,
    canvas,
    legend,
    name_fault,
    styled,
)
from labs.load.open_loop import Load, Stream
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "What reaches an upstream that fails, counted at the upstream."

THEORY = (
    "A 4xx shows that the upstream works, so every refusal comes from there; the breaker "
    "opens after exactly its number of failures in a row; then nothing reaches the "
    "upstream; when the open time is over one of all that wait is the probe, and its "
    "success lets everybody pass again."
)

REFUSALS, FAILURES, OPEN, WAITING, AFTER = "refusals", "failures", "open", "waiting", "after"
"""The parts of the experiment, in their order. The breaker decides where `failures` end and `open`
begins."""

PAYMENT = {"amount": 19.99}

MARGIN = 0.05
"""Seconds to wait beyond the open time, which is counted from the client's side."""

BURST = 0.1
"""Seconds within which all waiting requests come: much shorter than the probe that they meet."""

OVERLAP = 0.2
"""Seconds between the last of them and the probe's end, at least; else some may have come later."""

ENOUGH = 5
"""Requests the open breaker must have met before anybody may say that it lets none through."""

JUDGED = (
    "refusals (404) never open the breaker and exactly its number of failures does; while it is "
    "open nothing reaches the upstream; of all that wait for its end exactly one is the probe"
)

WRONG = {
    REFUSALS: "refusals (404) opened the breaker",
    FAILURES: "the breaker did not open after exactly its number of failures",
    OPEN: "requests reached the upstream while the breaker was open",
    WAITING: "of the waiting requests not exactly one reached the upstream",
    AFTER: "the breaker did not close after its probe had succeeded",
}


def predict(*, failures: int = 3, refusals: int = 100, after: int = 3) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    `refusals` and `after` are sent, before and after; `failures` is BREAKER_FAILURES. Columns:
    `part`, `calls` (that reach the upstream in that part).
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
    """Payments through a gateway whose breaker stays open for `open_seconds`; one row per request.

    payment-service answers `refusals` payments with 404, and `failures` with 503; `waiting` ones
    come at once when the open time is over, and find it working, but slowed by `slow_seconds`.
    Columns: `part` (`failures` and `open` both as `failures`), `sent` and `ended` (unix seconds),
    `status`, `calls` (that payment-service has answered by then, in this measurement), `state` (the
    breaker's, by the gateway's word: drawn, never judged), `open_seconds`, `runtime`, `attempt`.
    Leaves the gateway with that open time.
    """
    env.configure("api-gateway", BREAKER_OPEN_SECONDS=open_seconds, RETRY_TRIES=1)
    payment = env["payment-service"]
    with httpx.Client(timeout=30) as client:
        clicks = _Clicks(client, env["api-gateway"].url, payment.url)
        with payment.failing(404):
            rows = [clicks.one(REFUSALS) for _ in range(refusals)]
        with payment.failing(503):
            rows += [clicks.one(FAILURES) for _ in range(failures)]
        with payment.slowed(slow_seconds):
            over = rows[-1]["ended"] + open_seconds + MARGIN
            wait_until(lambda: time.time() >= over, timeout=open_seconds + 1)
            rows += clicks.at_once(waiting)
        rows += [clicks.one(AFTER) for _ in range(after)]
    return pd.DataFrame(rows).assign(open_seconds=open_seconds, runtime=env.runtime, attempt=1)


class _Clicks:
    """Pays through the gateway, and counts at payment-service."""

    def __init__(self, client: httpx.Client, gateway: str, payment: str) -> None:
        self._client, self._gateway, self._payment = client, gateway, payment
        self._before = answered(client, payment)

    def one(self, part: str) -> dict[str, Any]:
        sent = time.time()
        answer = self._client.post(f"{self._gateway}/api/pay", json=PAYMENT)
        row = {"part": part, "sent": sent, "ended": time.time(), "status": answer.status_code}
        return row | {"calls": self._calls(), "state": self._state()}

    def at_once(self, number: int) -> list[dict[str, Any]]:
        url = f"{self._gateway}/api/pay"
        pay = Stream("pay", url, rate=number / BURST, method="POST", body=PAYMENT)
        with Load(pay, seconds=BURST) as load:
            load.until(1.5 * BURST)
            state = self._state()
        samples = load.samples
        rows = pd.DataFrame(
            {
                "part": WAITING,
                "sent": samples["intended"] + samples["lag"],
                "ended": samples["intended"] + samples["latency"],
                "status": samples["status"],
                "calls": self._calls(),
                "state": state,
            }
        )
        return rows.to_dict("records")  # type: ignore[return-value]  # its keys are the texts above

    def _calls(self) -> int:
        return answered(self._client, self._payment) - self._before

    def _state(self) -> str:
        found = read_metrics(self._client, self._gateway)
        states = [each for each in found if each.name == "circuit_breaker_state"]
        return next(each.labels["state"] for each in states if each.value)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Exact, part by part, from payment-service's own count.

    Requests count as sent to an open breaker only where they were answered before it can have
    begun to let one through. Inconclusive where there were too few of these, where a fault never
    hit, and where the waiting requests did not all come while the probe was on its way.
    """
    attempts = [count(part) for _, part in samples.groupby("attempt")]
    doubts = [_doubts(part) for _, part in samples.groupby("attempt")]
    failures = [
        WRONG[expected["part"]]
        for expected in prediction.to_dict("records")
        if any(
            found[expected["part"]] != expected["calls"]
            for found, doubted in zip(attempts, doubts, strict=True)
            if expected["part"] not in doubted
        )
    ]
    fewest = min(doubts, key=len)
    details = {"calls": attempts[-1], "attempts": attempts}
    return Verdict.of(__name__, JUDGED, failures=failures, doubts=fewest.values(), details=details)


def count(attempt: pd.DataFrame) -> dict[str, int]:
    """Calls that reached the upstream in each part."""
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
    """The requests of one attempt by part.

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
    """Why nobody can tell, for each part that is in doubt."""
    parts, found = split(attempt), {}
    if not (parts[REFUSALS]["status"] >= 400).all():
        found[REFUSALS] = "the fault never hit: a payment that was to be refused succeeded"
    if not (parts[FAILURES]["status"] >= 500).all():
        found[FAILURES] = "the fault never hit: a payment that was to fail succeeded"
    if len(parts[OPEN]) < ENOUGH:
        found[OPEN] = "too few requests while the breaker was open"
    waiting = parts[WAITING]
    probe_ended = waiting.loc[waiting["status"] == 200, "ended"].min()
    if waiting["sent"].max() > probe_ended - OVERLAP:
        found[WAITING] = "not all waiting requests came while the probe was on its way"
    return found


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """The breaker's state above each request's outcome, above the calls that reached the upstream
    in each part, the prediction dashed."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    began = last["sent"].min()
    last = last.assign(sent=last["sent"] - began, ended=last["ended"] - began)
    figure, axes = canvas(
        "What the breaker lets through to payment-service",
        runtime=last["runtime"].iloc[0],
        note=f"open for {last['open_seconds'].iloc[0]:g} s",
        rows=3,
        height=5.8,
        ratios=(0.8, 1.3, 1.4),
    )
    _draw_state(axes[0], last)
    _draw_outcomes(axes[1], last)
    _draw_calls(axes[2], last, prediction)
    for part, text in ((REFUSALS, "it says 404"), (FAILURES, "503"), (WAITING, "it is slow")):
        mine = last[last["part"] == part]
        span = mine["sent"].min(), mine["ended"].max()
        for ax in axes:
            ax.axvspan(*span, **FAULT)
        name_fault(axes[0], *span, text)
    axes[-1].set_xlabel("time since the first payment (s)")
    legend(figure, axes[2])
    return figure


def _draw_state(ax: Axes, rows: pd.DataFrame) -> None:
    states = ("closed", "half-open", "open")
    # Once the breaker was open a request meets a state; before, it leaves one behind.
    at = rows["sent"].where(rows["part"].isin([WAITING, AFTER]), rows["ended"])
    ax.step(at, rows["state"].map(states.index), where="post", color=BLUE)
    ax.set_yticks(range(3), states)
    ax.set_ylim(-0.4, 2.4)
    ax.set_ylabel("breaker")


def _draw_outcomes(ax: Axes, rows: pd.DataFrame) -> None:
    # Of those that came at once only the sum is known; what failed of them never got there.
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
    ax.set_title("the answers")


def _draw_calls(ax: Axes, rows: pd.DataFrame, prediction: pd.DataFrame) -> None:
    counted, parts = count(rows), split(rows)
    for row in prediction.to_dict("records"):
        mine = parts[row["part"]]
        if mine.empty:
            continue
        span = [mine["sent"].min(), mine["ended"].max()]
        first = row["part"] == REFUSALS
        ax.plot(span, [counted[row["part"]]] * 2, color=BLUE, lw=5, label="measured" * first)
        ax.plot(span, [row["calls"]] * 2, label="predicted" * first, **PREDICTION)
    ax.set_yscale("symlog", linthresh=1)
    ax.set_yticks([0, 1, 3, 10, 100], ["0", "1", "3", "10", "100"])
    ax.set_ylim(-0.4, 2.5 * prediction["calls"].max())
    ax.set_title("calls that reached payment-service, in each part")
