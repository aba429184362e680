"""Releases under load: new users are created all the while, and it is known who took each.

    with Posts(env, rate=40) as posts:
        posts.step("version 1", seconds=1)
        posts.step("rolling")
        env.roll("user-service", 2)
        posts.step("version 2", seconds=1)
    posts.samples

An experiment of this kind predicts a table with the columns `step`, `share` (of version 2 among the
answers, 0 to 1), `changing` (whether the share changes in this step; it then has a row for each of
its stages) and `failed` (share of the requests).
"""

from __future__ import annotations

import math
import time
import uuid
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx
import numpy as np
import pandas as pd

from environment.waiting import wait_until
from labs.figures import BLUE, GREEN, PREDICTION, SOFT, VERMILLION
from labs.load.open_loop import Load, Stream
from labs.load.schedule import load_report
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from environment import Environment

SERVICE = "user-service"
PATH = "/users"

RATE = 60
"""Users per second."""

LONGEST = 120.0
"""Seconds that a release under load never takes."""

WORK = 0.2
"""Seconds: a POST that is answered sooner is seldom under way when its replica is told to stop."""

WATCH_SECONDS = 60.0

EDGE = 0.05
"""Seconds by which nginx may be done with an answer before the client is."""

LAG_LIMIT = 0.1
"""Seconds of the load's lag p99: requests are counted here, and no latency is judged."""

BUSY = 1.5
"""As many times its work is more than a POST takes, one in ten excepted, on a machine with time."""

ENOUGH = 20
"""Requests in each step whose answers are judged."""

BIN = 0.25
"""Seconds: the share of version 2 is drawn as that within each."""

COLOURS = {"1": BLUE, "2": GREEN}


def first_version(env: Environment, replicas: int) -> None:
    """Let so many replicas of version 1 take turns."""
    env.balance("round_robin", SERVICE)
    if env[SERVICE].version != "1":
        env.scale(SERVICE, 1)
        env.roll(SERVICE, 1)
    env.scale(SERVICE, replicas)


class Posts:
    """A block in which users are created at a steady `rate` (per second), through nginx.

    A POST is sent once: nginx repeats GETs elsewhere, which would hide what a release loses.
    """

    def __init__(self, env: Environment, *, rate: float = RATE) -> None:
        self._env, self._mark = env, uuid.uuid4().hex[:8]
        name = self._name("{number}")
        users = Stream(
            "POST /users",
            env[SERVICE].url + PATH,
            rate=rate,
            method="POST",
            body={"name": name},
            headers={"X-Correlation-Id": name},
        )
        self._load = Load(users, seconds=LONGEST, seed=env.seed)
        self._steps: list[tuple[float, str]] = []
        self._lives: dict[str, dict[float, str]] = {}
        self._samples: pd.DataFrame | None = None

    @property
    def samples(self) -> pd.DataFrame:
        """One row per request, once the block has ended.

        Columns: those of `Load.samples`; `sent` (unix seconds); `replica` that nginx gave it to
        last (empty for none) and its `version` then; `created` (users there are of it); `step`.
        """
        assert self._samples is not None, "the users are still being created"
        return self._samples

    def step(self, name: str, *, seconds: float = 0.0) -> None:
        """What is sent from now on belongs to this step of the release; returns after `seconds`."""
        self._look()
        now = time.time()
        self._steps.append((now, name))
        self._load.until(now - self._load.begun + seconds)

    def watch(self, replica: str, *, answers: int) -> pd.Series[int]:
        """The statuses of the first `answers` of that replica in this step, as nginx logs them.

        Fewer when they do not come in time. A request counts once the longest answer so far would
        be there: of the latest, only those that failed at once have been answered yet.
        """
        began = self._steps[-1][0]
        seen = pd.Series(dtype=int)

        def enough() -> bool:
            nonlocal seen
            log = self._log()
            sent = log["time"] - log["seconds"]
            known = sent.between(began, time.time() - log["seconds"].max())
            seen = log.loc[known & (log["replica"] == replica), "status"].head(answers)
            return len(seen) == answers

        wait_until(enough, timeout=WATCH_SECONDS, every=0.2)
        return seen

    def __enter__(self) -> Self:
        self._load.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if problem is None:
            self._look()
            self._load.end_in(0)
        self._load.__exit__(kind, problem, trace)
        if problem is None:
            self._samples = self._table()

    def _name(self, number: object) -> str:
        return f"{self._mark}-{number}"

    def _look(self) -> None:
        """Remember who runs: between two looks a replica is replaced once at most."""
        for replica in self._env[SERVICE].replicas:
            self._lives.setdefault(replica.id, {})[replica.began or 0.0] = replica.version

    def _log(self) -> pd.DataFrame:
        log = self._env.access_log()
        mine = log["correlation_id"].str.startswith(self._mark) & (log["service"] == SERVICE)
        return log[mine]

    def _table(self) -> pd.DataFrame:
        samples = self._load.samples
        names = [self._name(number) for number in range(len(samples))]
        replicas = self._log().set_index("correlation_id")["replica"].reindex(names)
        users = Counter(user["name"] for user in httpx.get(self._env[SERVICE].url + PATH).json())
        samples = samples.assign(
            sent=samples["intended"] + samples["lag"],
            replica=replicas.fillna("").to_list(),
            created=[users[name] for name in names],
        )
        return samples.assign(
            version=[
                self._version(replica, sent)
                for replica, sent in zip(samples["replica"], samples["sent"], strict=True)
            ],
            step=[self._step(sent) for sent in samples["sent"]],
        )

    def _version(self, replica: str, sent: float) -> str:
        began = [moment for moment in self._lives.get(replica, {}) if moment <= sent]
        return self._lives[replica][max(began)] if began else ""

    def _step(self, sent: float) -> str:
        began = [moment for moment, _ in self._steps]
        return self._steps[max(0, bisect_right(began, sent) - 1)][1]


def tally(samples: pd.DataFrame, prediction: pd.DataFrame) -> list[dict[str, Any]]:
    """Per step: `requests`, `failed`, `wrong` (users that are not there once, or more than once for
    a failed POST), `share` of version 2, `expected` (None while it changes), `strays` (answers of
    the version that should give none) and `spare` (how many of those are allowed).
    """
    found = []
    for name, stages in prediction.groupby("step", sort=False):
        expected = None if stages["changing"].any() else float(stages["share"].iloc[0])
        other = {0.0: samples["version"] != "1", 1.0: samples["version"] != "2"}
        mine = samples[samples["step"] == name]
        wrong = (mine["created"] > 1) | (mine["ok"] & (mine["created"] == 0))
        found.append(
            {
                "step": str(name),
                "requests": len(mine),
                "failed": int((~mine["ok"]).sum()),
                "wrong": int(wrong.sum()),
                "share": float((mine["version"] == "2").mean()) if len(mine) else math.nan,
                "expected": expected,
                "strays": int(other[expected][mine.index].sum()) if expected in other else 0,
                "spare": sum(_spare(part, name) for _, part in samples.groupby("attempt")),
            }
        )
    return found


def _spare(samples: pd.DataFrame, step: object) -> int:
    """Connections to nginx that were idle when it was told of the change before this step.

    Its old worker, which knows nothing of the change, keeps them until each has carried one more
    request (keepalive_min_timeout: closing them would lose requests). There are as many as there
    were requests at once before, less those that were under way then.
    """
    here = samples["step"] == step
    if here.iloc[0] or not here.any():
        return 0
    began = np.sort(samples["sent"])
    ended = np.sort(samples["intended"] + samples["latency"])
    so_far = np.arange(1, len(began) + 1)
    at_once = so_far - np.searchsorted(ended, began)
    under_way = so_far - np.searchsorted(ended - EDGE, began)
    first = int(here.to_numpy().argmax())
    change = samples["step"].to_numpy() == samples["step"].iloc[first - 1]
    return int(at_once[:first].max() - under_way[change].min())


def lost(steps: list[dict[str, Any]]) -> list[str]:
    """What a release that loses nothing must not have done."""
    found = [f"{row['step']}: a POST failed" for row in steps if row["failed"]]
    return found + [f"{row['step']}: a user is not there once" for row in steps if row["wrong"]]


def strayed(steps: list[dict[str, Any]]) -> list[str]:
    """The steps in which the other version should have answered nobody, and did."""
    return [
        f"{row['step']}: the other version answered, too"
        for row in steps
        if row["strays"] > row["spare"]
    ]


def undisturbed(samples: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The samples of the attempts in which the machine had time for the system; why there are none.

    What waits for a busy machine instead of its work fails by time limits, whoever drains.
    """
    attempts = [part for _, part in samples.groupby("attempt")]
    kept = [part for part in attempts if load_report(part, lag_limit=LAG_LIMIT).kept_schedule]
    if not kept:
        return samples, ["the load generator could not keep its schedule"]
    served = [part for part in kept if not _starved(part.loc[part["ok"], "latency"])]
    if not served:
        return samples, ["the machine was too busy: the POSTs took far longer than their work"]
    return pd.concat(served), []


def _starved(latency: pd.Series[float]) -> bool:
    return bool(latency.quantile(0.9) > BUSY * latency.quantile(0.05))


def judge_release(
    experiment: str, judged: str, samples: pd.DataFrame, prediction: pd.DataFrame
) -> Verdict:
    """No POST is lost, its user is there once, and no version answers out of its step."""
    kept, disturbed = undisturbed(samples)
    steps = tally(kept, prediction)
    if disturbed:
        return Verdict.of(experiment, judged, doubts=disturbed, details={"steps": steps})
    return Verdict.of(
        experiment,
        judged,
        failures=[*lost(steps), *strayed(steps)],
        doubts=doubtful(kept, steps),
        details={"steps": steps},
    )


def doubtful(samples: pd.DataFrame, steps: list[dict[str, Any]]) -> list[str]:
    """Why these samples may prove nothing."""
    found = []
    if samples.loc[samples["ok"], "latency"].median() < WORK:
        found.append("the POSTs were too short to be lost: user-service needs USER_SECONDS")
    few = [row["step"] for row in steps if row["expected"] is not None and row["requests"] < ENOUGH]
    return found + [f"{step}: too few requests" for step in few]


def draw_takers(ax: Axes, samples: pd.DataFrame) -> None:
    """Each request where its replica is, coloured by the version that took it."""
    since = _since(samples)
    replicas = sorted(set(samples["replica"]) - {""}, reverse=True)
    lane = samples["replica"].map({name: at for at, name in enumerate(replicas)})
    lane = lane.fillna(-1)
    for version, colour in COLOURS.items():
        mine = samples["ok"] & (samples["version"] == version)
        style: dict[str, Any] = {"color": colour, "ms": 11, "mew": 1.4}
        ax.plot(since[mine], lane[mine], "|", label=f"version {version}", **style)
    failed = ~samples["ok"]
    ax.plot(since[failed], lane[failed], "x", color=VERMILLION, ms=7, mew=1.8, label="failed")
    ax.plot([], [], label="predicted", **PREDICTION)
    ax.set_yticks(range(len(replicas)), replicas)
    ax.set_ylim(-0.6 - bool((lane < 0).any()), len(replicas) - 0.4)
    ax.grid(visible=False)
    _draw_steps(ax, samples, since)


def draw_share(ax: Axes, samples: pd.DataFrame, prediction: pd.DataFrame) -> None:
    """The shares (%) of version 2 and of failures over time, and each step's predicted, dashed."""
    since = _since(samples)
    bins = (since // BIN * BIN).clip(lower=since.min())
    for taken, colour, column in (
        (samples["version"] == "2", COLOURS["2"], "share"),
        (~samples["ok"], VERMILLION, "failed"),
    ):
        share = 100 * taken.groupby(bins).mean()
        edges, heights = [*share.index, since.max()], [*share, share.iloc[-1]]
        ax.step(edges, heights, where="post", color=colour, clip_on=False)
        predicted = _stairs(since, samples["step"], prediction, column)
        ax.plot(*zip(*predicted, strict=True), **PREDICTION)
    ax.set_ylim(-4, 104)
    ax.set_yticks([0, 50, 100])
    ax.set_ylabel("requests (%)")
    _draw_steps(ax, samples, since, named=False)


def _stairs(
    since: pd.Series[float], steps: pd.Series[str], prediction: pd.DataFrame, column: str
) -> list[tuple[float, float]]:
    """The predicted share (%) over time: a step's stages divide its time evenly."""
    edges: list[tuple[float, float]] = []
    for name, stages in prediction.groupby("step", sort=False):
        began, ended = since[steps == name].agg(["min", "max"])
        length = (ended - began) / len(stages)
        for number, expected in enumerate(stages[column]):
            edges += [(began + (number + at) * length, 100 * expected) for at in (0, 1)]
    return edges


def _since(samples: pd.DataFrame) -> pd.Series[float]:
    """Seconds since the first step ended."""
    first = samples["step"] == samples["step"].iloc[0]
    return samples["sent"] - float(samples.loc[~first, "sent"].min())


def _draw_steps(
    ax: Axes, samples: pd.DataFrame, since: pd.Series[float], *, named: bool = True
) -> None:
    spans: Mapping[Any, pd.Series[float]] = dict(list(since.groupby(samples["step"])))
    for number, name in enumerate(dict.fromkeys(samples["step"])):
        began, ended = spans[name].min(), spans[name].max()
        if number:
            ax.axvline(began, color=SOFT, linewidth=0.8, zorder=0.4)
        if named:
            ax.annotate(
                str(name),
                ((began + ended) / 2, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 4),
                textcoords="offset points",
                ha="center",
                size=9,
                color=SOFT,
            )
