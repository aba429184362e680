"""Blocking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.figures import BLUE, INK, PREDICTION, canvas, legend, styled
from labs.load.open_loop import Load, Stream, run_load
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How long do calls that overlap take, when each waits for the same time?"

THEORY = (
    "Calls that block the event loop wait one after the other, so the i-th of m is done "
    "after i waits, the last after m; calls that give it back wait together, and all are "
    "done after one."
)

BLOCKING, NON_BLOCKING, WITNESS = "blocking", "non-blocking", "witness"

TOLERANCE = 0.15
"""Share of the predicted time by which the last call may miss it."""

BURST_RATE = 1000
"""Calls per second: all begin well before the first can end."""

WITNESS_RATE = 20
"""Requests per second to another service, to see what the machine itself is late by."""

GRACE_SECONDS = 30.0
"""Longest time the witness listens beyond what is predicted."""

GOOD, SHORT, LONG, BUSY, APART, UNANSWERED = (
    "as predicted",
    "done sooner than anybody can wait",
    "the last call was done too late",
    "too late, and so was a service with nothing to do: the machine was busy",
    "the calls did not overlap",
    "a call was not answered",
)
"""What can be found."""

BAND: dict[str, Any] = {"color": INK, "alpha": 0.08, "linewidth": 0, "zorder": 0.5}

JUDGED = (
    "the last of the blocking calls takes the sum of their waits, and the last of the non-blocking "
    "ones a single wait, both within 15 %"
)


def predict(*, calls: int = 5, seconds: float = 2) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    `calls` overlap, each waits `seconds`. Columns: `endpoint`, `call` (from 1), `seconds` (since
    the first was sent, until this one is answered).
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
    """`calls` overlapping calls to each of the two endpoints, `seconds` of waiting in each; one row
    per request.

    Meanwhile a witness asks user-service, which has nothing else to do: it is late by what the
    machine is late by. Columns: `endpoint` (or `witness`), `during` (the endpoint that was being
    called), and those of `Load.samples` but `stream`; `runtime`, `attempt`.
    """
    parts = []
    listen = Stream(WITNESS, f"{env['user-service'].url}/health", rate=WITNESS_RATE)
    for endpoint in (BLOCKING, NON_BLOCKING):
        url = f"{env['api-gateway'].url}/api/{endpoint}?seconds={seconds}"
        call = Stream(endpoint, url, rate=BURST_RATE, timeout=calls * seconds + GRACE_SECONDS)
        with Load(listen, seconds=calls * seconds + GRACE_SECONDS) as witness:
            called = run_load(call, seconds=calls / BURST_RATE)
            witness.end_in(0)
        parts += [each.assign(during=endpoint) for each in (called, witness.samples)]
    samples = pd.concat(parts, ignore_index=True).rename(columns={"stream": "endpoint"})
    return samples.assign(runtime=env.runtime, attempt=1)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """The last call of each endpoint is done within `TOLERANCE` of the predicted time.

    Nothing makes a wait shorter, so one that was too short fails. A busy machine makes it longer:
    too long fails when it was seen twice, never well, and by more than the machine explains.
    Inconclusive else, and where the calls did not overlap.
    """
    failures, doubts, details = [], [], {}
    for endpoint, expected in prediction.groupby("endpoint", sort=False):
        during = samples[samples["during"] == endpoint]
        attempts = [summarise(part, expected) for _, part in during.groupby("attempt")]
        found = [attempt["found"] for attempt in attempts]
        details[str(endpoint)] = attempts
        for impossible in (UNANSWERED, SHORT):
            failures += [f"{endpoint}: {impossible}"] * (impossible in found)
        if found.count(LONG) >= 2 and GOOD not in found:
            failures.append(f"{endpoint}: {LONG}")
        elif GOOD not in found:
            doubts += [f"{endpoint}: {why}" for why in found[-1:] or ["not called"]]
    return Verdict.of(__name__, JUDGED, failures=failures, doubts=doubts, details=details)


def summarise(part: pd.DataFrame, expected: pd.DataFrame) -> dict[str, Any]:
    """One attempt at one endpoint: when its `last` call was done, the `predicted` time, how `late`
    the witness ever was (seconds), and in words what was `found`."""
    calls, witness = part[part["endpoint"] != WITNESS], part[part["endpoint"] == WITNESS]
    sent, ended = calls["intended"] + calls["lag"], calls["intended"] + calls["latency"]
    last, predicted = float(ended.max() - sent.min()), float(expected["seconds"].max())
    late = float(witness["latency"].max())
    # The machine may be as late with each of the waits that follow one another.
    explained = late * expected["seconds"].nunique()
    if len(calls) < len(expected) or not calls["ok"].all():
        found = UNANSWERED
    elif last < predicted * (1 - TOLERANCE):
        found = SHORT
    elif sent.max() > ended.min():
        found = APART
    elif last <= predicted * (1 + TOLERANCE):
        found = GOOD
    elif last <= predicted * (1 + TOLERANCE) + explained:
        found = BUSY
    else:
        found = LONG
    return {"last": last, "predicted": predicted, "late": late, "found": found}


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """A bar per call from its start to its answer, the predicted end of each dashed."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    calls, single = prediction["call"].max(), prediction["seconds"].min()
    figure, axes = canvas(
        "Calls that wait one after the other, and together",
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
    figure.supylabel("call, in the order of the answers", size=10, color=INK)
    legend(figure, axes[0])
    return figure


def _draw_calls(ax: Axes, rows: pd.DataFrame, expected: pd.DataFrame) -> None:
    sent = rows["intended"] + rows["lag"]
    began = sent.min()
    # Whoever comes first is not always served first: what is predicted is the order of the answers.
    right = (rows["intended"] + rows["latency"] - began).sort_values()
    left = (sent - began)[right.index]
    number = range(1, len(rows) + 1)
    ax.barh(number, right - left, left=left, color=BLUE, height=0.6, label="measured")
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
