"""Lambda and Kappa: a view that two programs keep together, and one that a single program builds again."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from environment.waiting import wait_until
from labs.experiments.phase4.orders import get
from labs.experiments.phase5.names import ANALYTICS, group_of
from labs.experiments.phase5.rest import wait_for_rest
from labs.experiments.phase5.stream_log import COLUMNS, TOPICS, count_windows, read_log
from labs.experiments.phase5.stream_view import read_windows
from labs.figures import BLUE, ORANGE, PREDICTION, canvas, legend, styled
from labs.guessing import Guess, within_factor
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
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "What does a view cost that two programs keep, and one that a single program keeps?"

THEORY = (
    "Lambda reads each event once in its stream, and all events so far again in each batch: with k batches at equal "
    "distances over N events N (1 + (k + 1) / 2) events in all. Kappa reads N, and N more when its program changes. "
    "Both have the same sums, and a view of Lambda does not change at a batch, as long as its two programs have one "
    "rule."
)

LAMBDA_READS, KAPPA_READS, JUMPS, DIFFERENCES = (
    "events that Lambda reads, for each event of the log",
    "events that Kappa reads, for each event of the log",
    "batches at which the view of Lambda changes",
    "windows in which Kappa differs from the batch",
)

SIZE = 60
"""Seconds of a window."""

FEWEST = 2000
"""Events that the log needs: else a batch is hardly more than a look."""

REPLAY_SECONDS = 60.0

EVERY_SECONDS = 0.1

JUDGED = (
    "events read by each design: exact; the view of Lambda is the same before and after each batch; the view that "
    "Kappa builds again has the sums of the batch, window by window"
)

GUESSES = {
    "reads": Guess(
        "A stream reads each event once. Beside it, a batch reads the whole log so far, five times at "
        "equal distances. How many times the length of the log do both read together?",
        "times",
        measured=lambda samples: _observed(list(each_attempt(samples))[-1])[LAMBDA_READS],
        right=within_factor(1.1),
        reference=4,
        theory=lambda prediction: prediction.set_index("check")["expected"][LAMBDA_READS],
    ),
}


def predict(*, batches: int = 5) -> pd.DataFrame:
    """Return `THEORY` as numbers. Columns: `check`, `expected`."""
    expected = {
        LAMBDA_READS: 1 + (batches + 1) / 2,
        KAPPA_READS: 1.0,
        JUMPS: 0.0,
        DIFFERENCES: 0.0,
    }
    return pd.DataFrame(expected.items(), columns=["check", "expected"])


def measure(env: Environment, *, batches: int = 5) -> pd.DataFrame:
    """Keep a view of the whole log as Lambda does, then let analytics-service build its own again, as Kappa does.

    analytics-service begins with empty tables, and its group at the first event of each topic.

    Rows of three kinds. `batch`: `events` (of the log so far), `read` (events that Lambda has read so far), `jumped`
    (windows that changed at the batch). `replay`: `seconds` since the start, `share` of the sums that are there again.
    `view`: `read` (messages of the log's topics that Kappa has read again), `differing` windows of the rebuilt view. In
    each row: `log` (events), `resting`, `emptied` (whether it began with empty tables), `runtime`, `attempt`.
    """
    resting = wait_for_rest(env)
    log = read_log(env).sort_values("published", kind="stable").reset_index(drop=True)
    rows = keep_as_lambda(log, batches)
    emptied, read, replay = _build_again(env)
    windows = read_windows(env, log, size=SIZE, late_after=np.inf)
    differing = _differing(windows)
    view = {"kind": "view", "read": float(read), "differing": differing}
    return pd.DataFrame([*rows, *replay, view]).assign(
        log=len(log), resting=resting, emptied=emptied, runtime=env.runtime, attempt=1
    )


def batch(log: pd.DataFrame) -> Counter[tuple[float, str]]:
    """Return the sums of each window, by a program that reads the whole log."""
    rows = count_windows(log, size=SIZE).to_dict("records")
    return Counter({(row["start"], name): int(row[name]) for row in rows for name in COLUMNS})


def add(sums: Counter[tuple[float, str]], event: Any) -> None:
    """Add one event to the sums, by a program that reads the stream."""
    sums[event.at // SIZE * SIZE, event.sum] += event.value


def keep_as_lambda(log: pd.DataFrame, batches: int) -> list[dict[str, Any]]:
    """Read the log as a stream, with a batch over all that came so far at equal distances."""
    rows, read, begin = [], 0, 0
    view: Counter[tuple[float, str]] = Counter()
    for number in range(1, batches + 1):
        end = round(len(log) * number / batches)
        for event in log.iloc[begin:end].itertuples():
            add(view, event)
        served, view = view, batch(log.iloc[:end])
        keys = set(served) | set(view)
        jumped = {start for start, name in keys if served[start, name] != view[start, name]}
        read, begin = read + (end - begin) + end, end
        rows.append({"kind": "batch", "events": end, "read": read, "jumped": len(jumped)})
    return rows


def _build_again(env: Environment) -> tuple[bool, int, list[dict[str, Any]]]:
    """Let analytics-service read every event again.

    Returns:
        Whether its tables were empty before, how many messages of `TOPICS` it read, and its progress.
    """
    rows: list[dict[str, Any]] = []
    total = _count(env)
    env.configure(ANALYTICS, VIEW_BUILD=int(time.time()))
    emptied = _count(env) == 0  # at rest there is nothing else to read
    group = group_of(ANALYTICS)
    with env[ANALYTICS].stopped():
        moved = pd.concat(
            env.kafka.reset(group, topic, to="earliest")
            for topic in sorted(set(env.kafka.lag(group)["topic"]))
        )
    began = time.monotonic()

    def done() -> bool:
        share = _count(env) / max(1, total)
        rows.append({"kind": "replay", "seconds": time.monotonic() - began, "share": share})
        return share >= 1

    wait_until(done, timeout=REPLAY_SECONDS, every=EVERY_SECONDS)
    wait_for_rest(env)
    again = moved[moved["topic"].isin(TOPICS)]
    return emptied, int((again["before"] - again["after"]).sum()), rows


def _count(env: Environment) -> int:
    view = get(env, ANALYTICS, "/analytics")
    return int(view["orderCount"] + view["successfulOrders"] + view["failedOrders"])


def _differing(windows: pd.DataFrame) -> int:
    wrong = [windows[f"now_{name}"] != windows[f"log_{name}"] for name in COLUMNS]
    return int(pd.concat(wrong, axis=1).any(axis=1).sum())


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare each count, exactly.

    Policy: every attempt, since these are counts of what was read. In doubt are attempts over a short log, or in which
    the view was not empty when it was built again: then nothing shows that it was.
    """
    attempts = list(each_attempt(samples))
    cases = [
        Case(row["check"], [_finding(part, row["check"], row["expected"]) for part in attempts])
        for row in prediction.to_dict("records")
    ]
    details = {"events": int(attempts[-1]["log"].iloc[0]), "replay (s)": _seconds(attempts[-1])}
    return verdict(__name__, JUDGED, cases, every_attempt, details=details)


def _observed(part: pd.DataFrame) -> dict[str, float]:
    batches, view = part[part["kind"] == "batch"], part[part["kind"] == "view"].iloc[0]
    log = max(1, int(part["log"].iloc[0]))
    return {
        LAMBDA_READS: float(batches["read"].iloc[-1]) / log,
        KAPPA_READS: float(view["read"]) / log,
        JUMPS: float((batches["jumped"] > 0).sum()),
        DIFFERENCES: float(view["differing"]),
    }


def _finding(part: pd.DataFrame, check: str, expected: float) -> Finding:
    row = part.iloc[0]
    if not row["resting"]:
        return doubt("the system did not come to rest in time")
    if not row["emptied"]:
        return doubt("the view was not empty when it was built again")
    short = doubt("the log is short")
    if row["log"] < FEWEST and check in (LAMBDA_READS, KAPPA_READS):
        return short
    # The distances of the batches are rounded to whole events, and a killed relay publishes an event twice.
    if abs(_observed(part)[check] - expected) > 0.01:
        return failure("another number than predicted")
    return short if row["log"] < FEWEST else SETTLED


def _seconds(part: pd.DataFrame) -> float:
    """Return how long the view took to be there again."""
    return float(part.loc[part["kind"] == "replay", "seconds"].max())


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw what each design reads as the log grows, and how the view of Kappa fills again."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    batches, replay = last[last["kind"] == "batch"], last[last["kind"] == "replay"]
    observed = _observed(last)
    log = int(last["log"].iloc[0])
    figure, (above, below) = canvas(
        f"Lambda read {observed[LAMBDA_READS]:.1f} events for each one of the log, Kappa "
        f"{observed[KAPPA_READS]:.1f}",
        runtime=last["runtime"].iloc[0],
        note=f"{log:,} events, {len(batches)} batches",
        rows=2,
        height=5.6,
        share=False,
    )
    xs, ys = [0.0], [0.0]
    for row in batches.to_dict("records"):
        xs += [row["events"], row["events"]]
        ys += [row["read"] - row["events"], row["read"]]
    above.plot(xs, ys, color=ORANGE, label="Lambda")
    above.plot([0, log], [0, observed[KAPPA_READS] * log], color=BLUE, label="Kappa")
    expected = prediction.set_index("check")["expected"]
    for check, label in ((LAMBDA_READS, "predicted in all"), (KAPPA_READS, None)):
        above.plot([0, log], [expected[check] * log] * 2, label=label, **PREDICTION)
    above.set_xlabel("events in the log (1)")
    above.set_ylabel("events read (1)")
    below.plot(replay["seconds"], 100 * replay["share"], color=BLUE)
    below.axhline(100, **PREDICTION)
    below.set_xlabel("time since analytics-service began again (s)")
    below.set_ylabel("view is there (%)")
    below.set_ylim(0, 108)
    legend(figure, above)
    return figure
