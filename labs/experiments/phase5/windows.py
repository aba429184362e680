"""Windows: sums by the time at which something happened, while a reader is slow and while a relay stands still."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from environment.waiting import wait_until
from labs.experiments.phase5.names import ANALYTICS, CREATED, PAYMENTS
from labs.experiments.phase5.rest import wait_for_rest
from labs.experiments.phase5.stream_log import COLUMNS, read_log
from labs.experiments.phase5.stream_view import (
    EVERY_SECONDS,
    let_pass,
    looking,
    placing,
    read_mark,
    read_windows,
)
from labs.figures import (
    BLUE,
    FAULT,
    INK,
    ORANGE,
    PREDICTION,
    SKY,
    canvas,
    legend,
    name_fault,
    styled,
)
from labs.judging import SETTLED, Case, Finding, doubt, each_attempt, failure, seen_twice, verdict
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Are sums by event time right, and when may a window be closed?"

THEORY = (
    "A window sums the events that happened in it, whenever they are read, so that its sums are those of a batch over "
    "the log. The watermark is the least newest time of the partitions that are active, less the lateness that is "
    "allowed; a window that it has passed is closed. A partition with unread messages is active, so that a slow reader "
    "makes no event late. A partition that is silent and fully read is not. So events that an upstream relay held back "
    "are late, and correct a window that was closed."
)

NOW, FIRST, LATE, MARK = (
    "windows that differ from the log now",
    "windows without a late event that were closed with other sums",
    "late events that were published in time",
    "seconds from the watermark to the newest event less the lateness",
)

SHORTER_SECONDS = 3.0
"""How much shorter the reader is slow than the relay stands still: nothing has to become late there."""

IDLE_SECONDS = 2.0
"""How long a partition that is fully read may be silent, until the watermark no longer waits for it."""

OLD_SECONDS = 1.0
"""How old the offsets may be from which analytics-service derives what is unread."""

SENDING_SECONDS = 1.0
"""How much later than its timestamp in the log a message may have come to the broker: more than on a busy machine."""

USUAL = {"REPORT_SECONDS": 10, "LATENESS_SECONDS": 5}
"""The settings of phase 5."""

PAUSE_SECONDS = 1.0
"""Before, between and after the faults."""

PASS_SECONDS = 15.0
"""Longest wait for the watermark to pass what was read, at rest; it takes `IDLE_SECONDS`."""

CLOCK_SECONDS = 0.002
"""Times are rounded to milliseconds."""

FEWEST_CLOSED = 2

JUDGED = (
    "the sums of every window are those of a batch over the log, and a window without a late event was closed with "
    "them; only events that were published late are late; the watermark passes partitions that are silent and fully "
    "read, and waits for the others"
)


def predict() -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `check` (what is counted), `expected`.
    """
    return pd.DataFrame({"check": [NOW, FIRST, LATE, MARK], "expected": 0.0})


def measure(
    env: Environment, *, size: int = 2, lateness: float = 3.0, seconds: float = 7.5
) -> pd.DataFrame:
    """Place orders, and meanwhile hold a topic at its reader, then events at the relay that publishes them.

    For a while analytics-service does nothing with OrderCreated, and reads all other topics; then payment-service
    publishes nothing for so many seconds. Leaves analytics-service with its usual settings.

    Rows of two kinds. `window`: `start` (unix seconds), `closed`, `late`, and for each sum of `COLUMNS` what it is now
    (`now_orders`), what it was when the window was closed (`first_orders`, empty while it is open) and what the log
    holds (`log_orders`); `delayed`, the events in it that reached Kafka so late that they may be late. `look`: `time`
    and `watermark`. In each row: `began` (of the load), the times of the faults (`reader_began`, `relay_ended` and so
    on), `newest` (the newest event), `idle` (partitions that were silent for longer than `IDLE_SECONDS`), `resting`,
    `mark` (the watermark in the end), `size`, `lateness`, `runtime`, `attempt`.
    """
    env.configure(ANALYTICS, REPORT_SECONDS=size, LATENESS_SECONDS=lateness)
    try:
        looks: list[dict[str, Any]] = []
        began = time.time()
        with placing(env), looking(env, looks, size):
            let_pass(PAUSE_SECONDS)
            with env[ANALYTICS].held({CREATED: ["*"]}) as reader:
                let_pass(seconds - SHORTER_SECONDS)
            reader_ended = time.time()
            let_pass(PAUSE_SECONDS)
            with env[PAYMENTS].held(relay=True) as relay:
                let_pass(seconds)
            relay_ended = time.time()
            let_pass(PAUSE_SECONDS)
        resting = wait_for_rest(env)
        log = read_log(env)
        newest = float(log["at"].max())
        end = lambda: read_mark(env, size) >= newest - lateness - CLOCK_SECONDS  # noqa: E731
        wait_until(end, timeout=PASS_SECONDS, every=EVERY_SECONDS)
        windows = read_windows(
            env, log, size=size, late_after=lateness - OLD_SECONDS - SENDING_SECONDS
        )
        mark = read_mark(env, size)
    finally:
        env.configure(ANALYTICS, **USUAL)
    facts = {
        "began": began,
        "reader_began": reader.began,
        "reader_ended": reader_ended,
        "relay_began": relay.began,
        "relay_ended": relay_ended,
        "newest": newest,
        "idle": _count_idle(log, since=began),
        "resting": resting,
        "mark": mark,
        "size": size,
        "lateness": lateness,
    }
    rows = pd.concat([windows.assign(kind="window"), pd.DataFrame(looks).assign(kind="look")])
    return rows.reset_index(drop=True).assign(**facts, runtime=env.runtime, attempt=1)


def _count_idle(log: pd.DataFrame, *, since: float) -> int:
    """Return how many partitions were silent for longer than `IDLE_SECONDS`, and then had an event again."""
    recent = log[log["published"] >= since].sort_values("published")
    gaps = recent.groupby(["topic", "partition"])["published"].diff()
    silent = recent[gaps > IDLE_SECONDS]
    return len(silent[["topic", "partition"]].drop_duplicates())


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare window by window, exactly.

    Policy: seen twice, since a busy machine makes events and the watermark late; sums are certain. In doubt is an
    attempt without a late event, without an idle partition, or with hardly any closed window: nothing was at stake.
    """
    attempts = list(each_attempt(samples))
    cases = [
        Case(check, [_finding(part, check) for part in attempts]) for check in prediction["check"]
    ]
    last = _of_run(attempts[-1])
    details = {
        "windows": len(last),
        "late": int(last["late"].sum()),
        "corrected": int(_differs(last, "first", "now")[last["closed"].astype(bool)].sum()),
        "idle": int(samples["idle"].iloc[-1]),
    }
    return verdict(__name__, JUDGED, cases, seen_twice, details=details)


def _of_run(part: pd.DataFrame) -> pd.DataFrame:
    """Return the windows of this attempt that began with its load, or later."""
    return part[(part["kind"] == "window") & (part["start"] >= part["began"])]


def _differs(windows: pd.DataFrame, one: str, other: str) -> pd.Series[bool]:
    pairs = [windows[f"{one}_{name}"] != windows[f"{other}_{name}"] for name in COLUMNS]
    return pd.concat(pairs, axis=1).any(axis=1)


def _finding(part: pd.DataFrame, check: str) -> Finding:
    row, windows = part.iloc[0], _of_run(part)
    closed = windows[windows["closed"].astype(bool)]
    if not row["resting"]:
        return doubt("the system did not come to rest in time")
    if check == NOW and _differs(part[part["kind"] == "window"], "now", "log").any():
        return failure("windows have other sums than the log", certain=True)
    if check == FIRST and _differs(closed[closed["late"] == 0], "first", "log").any():
        return failure("windows were closed with other sums", certain=True)
    if check == LATE and (windows["late"] > windows["delayed"]).any():
        return failure("events were late that were published in time")
    behind = row["newest"] - row["lateness"] - row["mark"]
    if check == MARK and behind > CLOCK_SECONDS:
        return failure("the watermark has not passed what was read")
    if check == MARK and behind < -CLOCK_SECONDS:
        return failure("the watermark is ahead of what was read", certain=True)
    return _stakes(windows, closed, int(row["idle"]))


def _stakes(windows: pd.DataFrame, closed: pd.DataFrame, idle: int) -> Finding:
    if windows["late"].sum() == 0:
        return doubt("no event was late")
    if len(closed) < FEWEST_CLOSED:
        return doubt("too few windows were closed")
    if idle == 0:
        return doubt("no partition was idle")
    return SETTLED


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the revenue of each window of the latest attempt, first and now, and below it the watermark.

    The sums of the log are dashed, and so is the watermark while no partition is silent.
    """
    last = samples[samples["attempt"] == samples["attempt"].max()]
    windows, row = _of_run(last), last.iloc[0]
    late = int(windows["late"].sum())
    closed = windows[windows["closed"].astype(bool)]
    corrected = int(_differs(closed, "first", "now").sum())
    figure, (above, below) = canvas(
        f"{late} late events corrected {corrected} of {len(closed)} closed windows",
        runtime=row["runtime"],
        note=f"windows of {row['size']:g} s, {row['lateness']:g} s late at most",
        rows=2,
        height=5.6,
    )
    _draw_windows(above, windows, row)
    _draw_watermark(below, last[last["kind"] == "look"], row)
    for ax in (above, below):
        for fault in ("reader", "relay"):
            ax.axvspan(
                row[f"{fault}_began"] - row["began"], row[f"{fault}_ended"] - row["began"], **FAULT
            )
    for fault, text in (
        ("reader", "OrderCreated is not read"),
        ("relay", "payments are held back"),
    ):
        began, ended = (row[f"{fault}_{side}"] - row["began"] for side in ("began", "ended"))
        name_fault(above, began, ended, text)
    legend(figure, above)
    return figure


def _draw_windows(ax: Axes, windows: pd.DataFrame, row: pd.Series[Any]) -> None:
    start, size = windows["start"] - row["began"], float(row["size"])
    style: dict[str, Any] = {"align": "edge", "edgecolor": "white"}
    now, first = windows["now_revenue"] / 100, windows["first_revenue"] / 100
    ax.bar(start, now, width=size, color=SKY, label="now", **style)
    ax.bar(start + size / 4, first, width=size / 2, color=BLUE, label="when closed", **style)
    edges = [x for begin in start for x in (begin, begin + size)]
    log = [value / 100 for value in windows["log_revenue"] for _ in range(2)]
    ax.plot(edges, log, label="of the log", **{**PREDICTION, "linewidth": 1.2})
    for x, height, late in zip(start, now, windows["late"], strict=True):
        if late:
            ax.annotate(
                f"{late:g} late",
                (x + size / 2, max(0.0, height)),
                (0, 3),
                textcoords="offset points",
                ha="center",
                size=8,
                color=INK,
            )
    ax.axhline(0, color=INK, linewidth=0.8)
    ax.set_ylabel("revenue\n(currency units)")


def _draw_watermark(ax: Axes, looks: pd.DataFrame, row: pd.Series[Any]) -> None:
    x, mark = looks["time"] - row["began"], looks["watermark"] - row["began"]
    ax.plot(x, mark, color=ORANGE, label="watermark")
    ends = np.array([0.0, float(x.max())])
    ax.plot(ends, ends - float(row["lateness"]), **PREDICTION)
    ax.set_ylim(bottom=-2 * float(row["lateness"]))
    ax.set_ylabel("watermark\n(s of event time)")
    ax.set_xlabel("time since the first order (s)")
