"""Users created through nginx during a release, with the replica and the version that served each.

with Posts(env, rate=40) as posts:
    posts.step("version 1", seconds=1)
    posts.step("rolling")
    env.roll("user-service", 2)
    posts.step("version 2", seconds=1)
posts.samples
"""

from __future__ import annotations

import time
import uuid
from bisect import bisect_right
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING, Self

import httpx
import pandas as pd

from environment.waiting import wait_until
from labs.load.open_loop import Load, Stream

if TYPE_CHECKING:
    from environment import Environment

SERVICE = "user-service"
PATH = "/users"

RATE = 60
"""Users per second."""

LONGEST = 120.0
"""Seconds that a release under load never takes."""

WATCH_SECONDS = 60.0


def start_version_1(env: Environment, replicas: int) -> None:
    """Let that many replicas of version 1 take turns."""
    env.balance("round_robin", SERVICE)
    if env[SERVICE].version != "1":
        env.scale(SERVICE, 1)
        env.roll(SERVICE, 1)
    env.scale(SERVICE, replicas)


class Posts:
    """A block in which users are created at a steady `rate` (per second), through nginx.

    nginx sends a POST to one replica only. It repeats a failed GET elsewhere, which would hide what
    a release loses.
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

        Columns: those of `Load.samples`; `sent` (unix seconds); `replica` that nginx sent it to
        last (empty for none) and its `version` then; `created` (how many users it created);
        `step`.
        """
        assert self._samples is not None, "the users are still being created"
        return self._samples

    def step(self, name: str, *, seconds: float = 0.0) -> None:
        """Begin a step of the release, to which what is sent from now on belongs; return after `seconds`."""
        self._note_lives()
        now = time.time()
        self._steps.append((now, name))
        self._load.until(now - self._load.begun + seconds)

    def watch(self, replica: str, *, answers: int) -> pd.Series[int]:
        """Return the statuses of the first `answers` of that replica in this step, as nginx logs them.

        Fewer when they do not come in time. A request counts once the longest answer so far would
        be there: of the latest, only those that failed at once have been answered yet.
        """
        began = self._steps[-1][0]
        statuses = pd.Series(dtype=int)

        def enough() -> bool:
            nonlocal statuses
            log = self._log()
            sent = log["time"] - log["seconds"]
            complete = sent.between(began, time.time() - log["seconds"].max())
            statuses = log.loc[complete & (log["replica"] == replica), "status"].head(answers)
            return len(statuses) == answers

        wait_until(enough, timeout=WATCH_SECONDS, every=0.2)
        return statuses

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
            self._note_lives()
            self._load.end_in(0)
        self._load.__exit__(kind, problem, trace)
        if problem is None:
            self._samples = self._table()

    def _name(self, number: object) -> str:
        return f"{self._mark}-{number}"

    def _note_lives(self) -> None:
        """Note which replicas run: between two notes a replica is replaced once at most."""
        for replica in self._env[SERVICE].replicas:
            self._lives.setdefault(replica.id, {})[replica.began or 0.0] = replica.version

    def _log(self) -> pd.DataFrame:
        log = self._env.access_log()
        return log[log["correlation_id"].str.startswith(self._mark) & (log["service"] == SERVICE)]

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
