"""Vertical against horizontal: the same workers in one replica, and in a replica each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.experiments.idle import IdleMeter
from labs.experiments.rates import TOLERANCE, best_rate, compare, rate
from labs.experiments.replicas import reset_replicas
from labs.figures import BLUE, INK, ORANGE, PREDICTION, canvas, legend, styled
from labs.judging import (
    SETTLED,
    Case,
    Finding,
    Kind,
    doubt,
    each_attempt,
    failure,
    seen_twice,
    verdict,
)
from labs.load.calls import ask
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Three workers in one replica, or three replicas of one worker?"

THEORY = (
    "w processes serve min(w, C) / s requests per second, in one replica or in several. The kill is a "
    "staged demonstration: it ends a whole replica, with all the workers inside."
)

GATEWAY = "api-gateway"

VERTICAL, HORIZONTAL = "workers in one replica", "replicas of one worker"

COLOURS = {VERTICAL: ORANGE, HORIZONTAL: BLUE}

TOGETHER = 16
"""Callers at a time: enough that no worker runs out of requests."""

AFTER = 16
"""Requests while one replica is dead: enough to reach every worker that is left."""

BEFORE, DURING = "before", "during"

JUDGED = (
    "w workers in one replica carry as much as w replicas, within 20 %; one kill leaves none of "
    "them, and all but one of the replicas"
)


def predict(*, seconds: float, cores: int, workers: int = 3) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `shape`, `workers` (processes), `achieved` and `carried` (requests per second, which
    is the same here), `survivors` (after one kill), `seconds` (of CPU time per request).
    """
    rows = [[VERTICAL, 0], [HORIZONTAL, workers - 1]]
    table = pd.DataFrame(rows, columns=["shape", "survivors"])
    carried = min(workers, cores) / seconds
    return table.assign(workers=workers, achieved=carried, carried=carried, seconds=seconds)


def measure(
    env: Environment, *, seconds: float = 0.05, requests: int = 80, workers: int = 3
) -> pd.DataFrame:
    """Let each shape work off `requests` computations of `seconds` CPU time, then kill its first replica.

    A few more requests reach the workers that are left. Leaves `workers` replicas of one worker.

    Returns:
        One row per request. Columns: `shape`, `when` (before or during the death), `sent` and
        `ended` (unix seconds), `status`, `worker` (replica and process), `killed` (unix seconds),
        `idle` (cores that no program used or waited for before the kill), `runtime`, `attempt`.
    """
    parts = []
    for shape, replicas in ((VERTICAL, 1), (HORIZONTAL, workers)):
        url = reset_replicas(env, GATEWAY, replicas, WORKERS=workers // replicas)
        path = f"{url}/api/cpu-bound?seconds={seconds}"
        meter = IdleMeter()
        answers = [ask(path, requests=requests, together=TOGETHER).assign(when=BEFORE)]
        idle = meter.cores()
        with env[GATEWAY].replicas[0].killed() as fault:
            answers.append(ask(path, requests=AFTER, together=TOGETHER).assign(when=DURING))
        parts.append(pd.concat(answers).assign(shape=shape, killed=fault.began, idle=idle))
    return _tidy(pd.concat(parts, ignore_index=True)).assign(runtime=env.runtime, attempt=1)


def _tidy(answers: pd.DataFrame) -> pd.DataFrame:
    workers = answers["instance"] + ", process " + answers["processId"].map("{:.0f}".format)
    answers["worker"] = workers.where(answers["status"] == 200, "")
    return answers[["shape", "when", "sent", "ended", "status", "worker", "killed", "idle"]]


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare the survivors exactly, and the rates within `TOLERANCE`: see `compare`.

    Where other programs left both shapes too little, they have to carry the same. An attempt is in
    doubt where not every worker was reached before the kill, since whether it survived is then unknown.

    Policy: seen twice. A busy machine makes a rate lower, also while workers are still starting, so
    that a low rate on idle cores has to be seen twice. No machine revives a worker, loses a request or
    makes a system faster: that fails at once.
    """
    attempts = [
        {str(shape): summarise(part) for shape, part in rows.groupby("shape")}
        for rows in each_attempt(samples)
    ]
    cases = []
    for expected in prediction.to_dict("records"):
        shape = expected["shape"]
        own = [attempt[shape] for attempt in attempts if shape in attempt]
        both = [attempt for attempt in attempts if len(attempt) == len(prediction)]
        cases.append(Case(shape, [_survivors(row, expected) for row in own]))
        cases.append(Case(shape, [_rate(attempt, shape, expected) for attempt in both]))
    return verdict(__name__, JUDGED, cases, seen_twice, details={"attempts": attempts})


def _rate(
    attempt: Mapping[str, Mapping[str, float]], shape: str, expected: Mapping[Any, Any]
) -> Finding:
    """Return the finding on one shape's rate, beside those of all shapes in the same attempt."""
    finding = compare(attempt[shape], expected)
    least, *_, most = sorted(row["achieved"] for row in attempt.values())
    as_much = least >= (1 - TOLERANCE) * most > 0
    return SETTLED if finding.kind is Kind.DOUBT and as_much else finding


def summarise(part: pd.DataFrame) -> dict[str, float]:
    """Return the numbers of one shape in one attempt.

    `workers` reached before the kill, `achieved` and `best` (requests per second) while every caller had
    a request under way, `survivors`, and `idle` (cores).
    """
    before, during = part[part["when"] == BEFORE], part[part["when"] == DURING]
    window = before["ended"].min(), before["sent"].max()
    return {
        "workers": before[before["status"] == 200]["worker"].nunique(),
        "unanswered": int((before["status"] != 200).sum()),
        "achieved": rate(before["ended"], *window),
        "best": best_rate(before["ended"], *window),
        "survivors": during[during["status"] == 200]["worker"].nunique(),
        "idle": float(part["idle"].iloc[0]),
    }


def _survivors(row: Mapping[Any, Any], expected: Mapping[Any, Any]) -> Finding:
    if row["unanswered"]:
        return failure("requests were lost before the kill", certain=True)
    if row["survivors"] > expected["survivors"]:
        return failure("more survived the kill than predicted", certain=True)
    if row["workers"] != expected["workers"]:
        return doubt("not every worker was met before the kill")
    if row["survivors"] < expected["survivors"]:
        return failure("fewer survived the kill than predicted", certain=True)
    return SETTLED


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw two rates and the survivors: a bar per shape and attempt, the predictions dashed."""
    attempts = [
        {shape: summarise(part) for shape, part in rows.groupby("shape")}
        for rows in each_attempt(samples)
    ]
    last = attempts[-1]
    left = " and ".join(f"{last[shape]['survivors']:.0f}" for shape in COLOURS)
    ratio = last[VERTICAL]["best"] / max(last[HORIZONTAL]["best"], 1e-9)
    workers = int(prediction["workers"].iloc[0])
    figure, axes = canvas(
        f"At best one replica carried {ratio:.0%} of what {workers} did; a kill left {left} workers",
        runtime=samples["runtime"].iloc[0],
        note=f"{workers} workers each way; pale: earlier attempts; x: fastest part",
        rows=2,
        height=4.6,
        share=False,
    )
    for ax, name in zip(axes, ("achieved", "survivors"), strict=True):
        for row, expected in enumerate(prediction.to_dict("records")):
            measured = [attempt[expected["shape"]] for attempt in attempts]
            _draw_bars(ax, row, [each[name] for each in measured], COLOURS[expected["shape"]])
            ax.plot([expected[name]] * 2, [row - 0.42, row + 0.42], **PREDICTION)
            if name == "achieved":
                ax.plot([measured[-1]["best"]], [row], "x", color=INK, ms=7)
        ax.set_yticks(range(len(prediction)), [f"{workers} {shape}" for shape in COLOURS])
        ax.invert_yaxis()
        ax.grid(axis="y", visible=False)
        ax.set_xlim(left=0)
    axes[0].set_xlabel("rate before the kill (requests/s)")
    axes[1].set_xlabel("workers that answer after one replica was killed (count)")
    axes[1].set_xticks(range(workers + 1))
    axes[0].plot([], [], label="predicted", **PREDICTION)
    legend(figure, axes[0])
    return figure


def _draw_bars(ax: Axes, row: int, values: Sequence[float], colour: str) -> None:
    """Draw one bar per attempt within a row, the last one strong."""
    height = 0.7 / len(values)
    for index, value in enumerate(values):
        at = row - 0.35 + height * (index + 0.5)
        strong = index == len(values) - 1
        ax.barh(at, value, 0.9 * height, color=colour, alpha=1.0 if strong else 0.4)
        ax.annotate(
            f"{value:.0f}", (value, at), xytext=(4, 0), textcoords="offset points", va="center"
        )
