"""Blocking: calls that overlap, to a route that blocks the event loop and to one that does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.figures import BLUE, INK, PREDICTION, canvas, legend, styled
from labs.guessing import Guess, within_factor
from labs.judging import SETTLED, Case, Finding, doubt, each_attempt, failure, seen_twice, verdict
from labs.load.open_loop import Load, Stream, run_load

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment
    from labs.verdicts import Verdict

TITLE = "How long do calls that overlap take, when each waits for the same time?"

THEORY = (
    "Calls that block the event loop wait one after the other, so the i-th of m is done "
    "after i waits, the last after m; calls that await wait together, and all are done "
    "after one."
)

BLOCKING, NON_BLOCKING, WITNESS = "blocking", "non-blocking", "witness"

TOLERANCE = 0.15
"""Share of the predicted time by which the last call may differ from it."""

BURST_RATE = 1000
"""Calls per second: all begin well before the first can end."""

WITNESS_RATE = 20
"""Requests per second to another service, which show how late the machine itself is."""

GRACE_SECONDS = 30.0
"""Seconds that the witness goes on beyond what is predicted, at most."""

SHORT, LONG, BUSY, APART, UNANSWERED = (
    "done sooner than its wait takes",
    "the last call was done too late",
    "too late, and so was a service with nothing to do: the machine was busy",
    "the calls did not overlap",
    "a call was not answered",
)
"""The reasons of a finding."""

BAND: dict[str, Any] = {"color": INK, "alpha": 0.08, "linewidth": 0, "zorder": 0.5}

JUDGED = (
    "the last of the blocking calls takes the sum of their waits, and the last of the non-blocking "
    "ones a single wait, both within 15 %"
)

GUESSES = {
    "times": Guess(
        "Five requests come at once, and each waits for the same time: with time.sleep on one route, "
        "with await asyncio.sleep on another. How many times as long as on the second route does "
        "the last of the five take on the first one?",
        "times",
        measured=lambda samples: _times_as_long(samples, samples["latency"]),
        right=within_factor(1.3),
        reference=5,
        theory=lambda prediction: _times_as_long(prediction, prediction["seconds"]),
    ),
}


def predict(*, calls: int = 5, seconds: float = 2) -> pd.DataFrame:
    """Return `THEORY` as seconds until each call is answered, since the first was sent.

    `calls` overlap, each waits `seconds`. Columns: `endpoint`, `call` (from 1), `seconds`.
    """
    return pd.DataFrame(
        [
            {"endpoint": endpoint, "call": number, "seconds": float(waits * seconds)}
            for endpoint, blocks in ((BLOCKING, True), (NON_BLOCKING, False))
            for number in range(1, calls + 1)
            for waits in [number if blocks else 1]
        ]
    )


def measure(env: Environment, *, calls: int = 5, seconds: float = 2) -> pd.DataFrame:
    """Return one row per request: `calls` overlapping calls to each endpoint, each waits `seconds`.

    Meanwhile a witness sends requests to user-service, which has nothing else to do: it is as late
    as the machine is. Columns: `endpoint` (or `witness`), `during` (the endpoint that was being
    called), and those of `Load.samples` but `stream`; `runtime`, `attempt`.
    """
    parts = []
    probe = Stream(WITNESS, f"{env['user-service'].url}/health", rate=WITNESS_RATE)
    for endpoint in (BLOCKING, NON_BLOCKING):
        url = f"{env['api-gateway'].url}/api/{endpoint}?seconds={seconds}"
        call = Stream(endpoint, url, rate=BURST_RATE, timeout=calls * seconds + GRACE_SECONDS)
        with Load(probe, seconds=calls * seconds + GRACE_SECONDS) as witness:
            called = run_load(call, seconds=calls / BURST_RATE)
            witness.end_in(0)
        parts += [each.assign(during=endpoint) for each in (called, witness.samples)]
    samples = pd.concat(parts, ignore_index=True).rename(columns={"stream": "endpoint"})
    return samples.assign(runtime=env.runtime, attempt=1)


def _times_as_long(frame: pd.DataFrame, seconds: pd.Series[float]) -> float:
    last = seconds.groupby(frame["endpoint"]).max()
    return float(last[BLOCKING] / last[NON_BLOCKING])


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Pass when the last call of each endpoint is done within `TOLERANCE` of the predicted time.

    Policy `seen_twice`, one case per endpoint: nothing makes a wait shorter, so one that was too
    short fails at once; a busy machine makes it longer, so one that was too long fails when it was
    seen twice, never well, and by more than the witness's own delay explains. Inconclusive else,
    and where the calls did not overlap.
    """
    cases, details = [], {}
    for endpoint, expected in prediction.groupby("endpoint", sort=False):
        attempts = list(each_attempt(samples[samples["during"] == endpoint]))
        cases.append(Case(str(endpoint), [_finding(part, expected) for part in attempts]))
        details[str(endpoint)] = [times(part, expected) for part in attempts]
    return verdict(__name__, JUDGED, cases, seen_twice, details=details)


def _finding(part: pd.DataFrame, expected: pd.DataFrame) -> Finding:
    """Return the finding on one endpoint in one attempt."""
    calls, took = part[part["endpoint"] != WITNESS], times(part, expected)
    sent, ended = calls["intended"] + calls["lag"], calls["intended"] + calls["latency"]
    # The machine may be as late with each of the waits that follow one another.
    explained = took["late"] * expected["seconds"].nunique()
    if len(calls) < len(expected) or not calls["ok"].all():
        return failure(UNANSWERED, certain=True)
    if took["last"] < took["predicted"] * (1 - TOLERANCE):
        return failure(SHORT, certain=True)
    if sent.max() > ended.min():
        return doubt(APART)
    if took["last"] <= took["predicted"] * (1 + TOLERANCE):
        return SETTLED
    if took["last"] <= took["predicted"] * (1 + TOLERANCE) + explained:
        return doubt(BUSY)
    return failure(LONG)


def times(part: pd.DataFrame, expected: pd.DataFrame) -> dict[str, float]:
    """Return the seconds of one attempt at one endpoint.

    `last` (since the first call was sent, until the last was done), `predicted`, and `late` (the
    longest request of the witness).
    """
    calls, witness = part[part["endpoint"] != WITNESS], part[part["endpoint"] == WITNESS]
    sent, ended = calls["intended"] + calls["lag"], calls["intended"] + calls["latency"]
    return {
        "last": float(ended.max() - sent.min()),
        "predicted": float(expected["seconds"].max()),
        "late": float(witness["latency"].max()),
    }


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw a bar per call from its start to its end, the predicted end of each dashed."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    calls, single = prediction["call"].max(), prediction["seconds"].min()
    ends = {
        name: times(last[last["during"] == name], expected)["last"]
        for name, expected in prediction.groupby("endpoint", sort=False)
    }
    figure, axes = canvas(
        f"The last call ends after {ends[BLOCKING]:.1f} s if calls block, "
        f"after {ends[NON_BLOCKING]:.1f} s if they await",
        runtime=last["runtime"].iloc[0],
        note=f"{calls} overlapping calls, each waits {single:g} s",
        rows=2,
        height=4.6,
    )
    for ax, endpoint in zip(axes, (BLOCKING, NON_BLOCKING), strict=True):
        expected = prediction[prediction["endpoint"] == endpoint]
        _draw_calls(ax, last[last["endpoint"] == endpoint], expected)
        ax.set_title(f"/api/{endpoint}")
    axes[-1].set_xlabel("time since the first call (s)")
    figure.supylabel("call, in the order they end (number)", size=10, color=INK)
    legend(figure, axes[0])
    return figure


def _draw_calls(ax: Axes, rows: pd.DataFrame, expected: pd.DataFrame) -> None:
    sent = rows["intended"] + rows["lag"]
    began = sent.min()
    # Calls are not always served in the order they were sent; the prediction is about the order they end in.
    ends = (rows["intended"] + rows["latency"] - began).sort_values()
    starts = (sent - began)[ends.index]
    number = range(1, len(rows) + 1)
    ax.barh(number, ends - starts, left=starts, color=BLUE, height=0.6, label="measured")
    for row in expected.to_dict("records"):
        label = "predicted" * (row["call"] == 1)
        ax.plot(
            [row["seconds"]] * 2, [row["call"] - 0.5, row["call"] + 0.5], label=label, **PREDICTION
        )
    last = expected["seconds"].max()
    band = last * (1 - TOLERANCE), last * (1 + TOLERANCE)
    ax.axvspan(*band, label="judged: the last within 15 %", **BAND)
    ax.set_yticks(expected["call"])
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
