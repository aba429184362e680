"""Vertical against horizontal: the same workers in one replica, and in a replica each."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.experiments.idle import idle_cores
from labs.experiments.rates import TOLERANCE, best_rate, compare, rate
from labs.experiments.replicas import reset_replicas
from labs.figures import BLUE, FAULT, PREDICTION, VERMILLION, canvas, legend, name_fault, styled
from labs.judging import (
    SETTLED,
    Case,
    Finding,
    Kind,
    doubt,
    each_attempt,
    every_attempt,
    failure,
    verdict,
)
from labs.load.calls import ask
from labs.machine import busy_seconds
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Three workers in one replica, or three replicas of one worker?"

THEORY = (
    "w processes serve min(w, C) / s requests per second, in one replica or in several. But a "
    "kill ends a whole replica, with all the workers inside."
)

GATEWAY = "api-gateway"

VERTICAL, HORIZONTAL = "workers in one replica", "replicas of one worker"

TOGETHER = 16
"""Callers at a time: enough that no worker runs out of requests."""

AFTER = 16
"""Requests while one replica is dead: enough to reach every worker that is left."""

SHADED = 1.0
"""Seconds after the kill that are drawn as the death; the last answers come sooner."""

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
        `idle` (cores that no program used before the kill), `runtime`, `attempt`.
    """
    parts = []
    for shape, replicas in ((VERTICAL, 1), (HORIZONTAL, workers)):
        url = reset_replicas(env, GATEWAY, replicas, WORKERS=workers // replicas)
        path = f"{url}/api/cpu-bound?seconds={seconds}"
        busy, began = busy_seconds(), time.time()
        answers = [ask(path, requests=requests, together=TOGETHER).assign(when=BEFORE)]
        idle = idle_cores(busy_seconds() - busy, time.time() - began)
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

    Where other programs left both shapes too little, they have to carry the same. A failure in any
    attempt stands: no machine revives a worker or makes a system faster, and too little counts as
    one only on idle cores. An attempt is in doubt where not every worker was reached before the kill,
    since whether it survived is then unknown.
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
    return verdict(__name__, JUDGED, cases, every_attempt, details={"attempts": attempts})


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
        return failure("requests were lost before the kill")
    if row["survivors"] > expected["survivors"]:
        return failure("more survived the kill than predicted")
    if row["workers"] != expected["workers"]:
        return doubt("not every worker was met before the kill")
    if row["survivors"] < expected["survivors"]:
        return failure("fewer survived the kill than predicted")
    return SETTLED


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw each worker's answers over time, one panel per shape, the death shaded.

    Dashed are the time that the work should take and the workers that should go on answering.
    """
    last = samples[samples["attempt"] == samples["attempt"].max()]
    figure, axes = canvas(
        "The same work, in one replica and in several",
        runtime=last["runtime"].iloc[0],
        note="a tick is an answer",
        rows=2,
        height=4.8,
    )
    for ax, expected in zip(axes, prediction.to_dict("records"), strict=True):
        part = last[last["shape"] == expected["shape"]]
        _draw_answers(ax, part.assign(at=part["ended"] - part["killed"]))
        _draw_prediction(ax, int((part["when"] == BEFORE).sum()), expected)
        ax.set_title(f"{expected['workers']} {expected['shape']}")
    name_fault(axes[0], 0, SHADED, "a replica dead")
    axes[-1].set_xlabel("time since the kill (s)")
    legend(figure, axes[0])
    return figure


def _draw_answers(ax: Axes, answers: pd.DataFrame) -> None:
    names = sorted(set(answers["worker"]) - {""})
    ok = answers[answers["status"] == 200]
    lost = answers[answers["status"] != 200]
    rows = [names.index(worker) for worker in ok["worker"]]
    ax.axvspan(0, SHADED, **FAULT)
    ax.plot(ok["at"], rows, "|", color=BLUE, ms=13, mew=1.6, label="answered")
    ax.plot(lost["at"], [-0.8] * len(lost), "x", color=VERMILLION, ms=5, label="refused")
    ax.set_yticks(range(len(names)), [f"worker {number + 1}" for number in range(len(names))])
    ax.set_ylim(-1.3, len(names) - 0.4)


def _draw_prediction(ax: Axes, requests: int, expected: Mapping[Any, Any]) -> None:
    workers, survivors = expected["workers"], expected["survivors"]
    ax.axvline(-requests / expected["achieved"], label="predicted", **PREDICTION)
    for row in range(workers - survivors, workers):
        ax.plot([0, SHADED], [row - 0.35] * 2, **PREDICTION)
