"""Rolling replacement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from labs.experiments.phase3.releases import (
    RATE,
    SERVICE,
    Posts,
    draw_share,
    draw_takers,
    first_version,
    judge_release,
)
from labs.figures import canvas, legend, styled
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "What does it cost the clients to replace every replica, one by one?"

THEORY = (
    "Each replica in turn gets no more requests, finishes those it has, and is replaced: no"
    " POST is lost. While the k-th is away, k - 1 of the n - 1 others are new and take that"
    " share."
)

BEFORE, DURING, AFTER = "version 1", "rolling", "version 2"

JUDGED = (
    "no POST is lost while every replica is replaced, each user is there once, and only the time "
    "in between knows both versions"
)


def predict(*, replicas: int) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `step`, `share` (of version 2; one row per replaced replica while rolling), `changing`
    (rolling or not), `failed` (POSTs).
    """
    rolling = [(DURING, done / (replicas - 1)) for done in range(replicas)]
    rows = [(BEFORE, 0.0), *rolling, (AFTER, 1.0)]
    table = pd.DataFrame(rows, columns=["step", "share"])
    return table.assign(changing=table["step"] == DURING, failed=0)


def measure(
    env: Environment, *, replicas: int = 3, rate: float = RATE, seconds: float = 0.5
) -> pd.DataFrame:
    """`env.roll` from version 1 to 2 while users are created, for `seconds` before and after it.

    `user-service` must take its time over each: configure USER_SECONDS. Leaves version 2. Columns:
    those of `Posts.samples`, `runtime`, `attempt`.
    """
    first_version(env, replicas)
    with Posts(env, rate=rate) as posts:
        posts.step(BEFORE, seconds=seconds)
        posts.step(DURING)
        env.roll(SERVICE, 2)
        posts.step(AFTER, seconds=seconds)
    return posts.samples.assign(runtime=env.runtime, attempt=1)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Every POST is answered, and its user is there once; no version answers out of its time."""
    return judge_release(__name__, JUDGED, samples, prediction)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Who took each request over time (s), and version 2's share (%) with the predicted one."""
    last = samples[samples["attempt"] == samples["attempt"].max()]
    figure, axes = canvas(
        f"{SERVICE} is replaced, replica by replica",
        runtime=last["runtime"].iloc[0],
        note=f"{(~last['ok']).sum()} of {len(last)} POSTs failed; {prediction['failed'].sum()} predicted",
        rows=2,
        height=4.4,
        ratios=[1.5, 1],
    )
    draw_takers(axes[0], last)
    draw_share(axes[1], last, prediction)
    axes[1].set_xlabel("time since the roll began (s)")
    legend(figure, axes[0])
    return figure
