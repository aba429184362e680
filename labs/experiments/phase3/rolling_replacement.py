"""Rolling replacement: every replica is replaced by one of the next version, one by one, under load."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from labs.experiments.phase3.releases import (
    RATE,
    SERVICE,
    Posts,
    judge_release,
    plot_release,
    start_version_1,
)
from labs.guessing import Guess, within_points
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How many requests are lost when every replica is replaced, one by one?"

THEORY = (
    "Each replica in turn gets no more requests, finishes those it has, and is replaced: no POST "
    "is lost. While the k-th of n replicas is missing, k - 1 of the n - 1 others are new and "
    "serve the share (k - 1) / (n - 1)."
)

BEFORE, DURING, AFTER = "version 1", "rolling", "version 2"

JUDGED = (
    "no POST is lost while every replica is replaced, each user is created once, and both versions "
    "serve only in between"
)

GUESSES = {
    "lost": Guess(
        "Clients send POSTs all the time, which nginx does not repeat, while all replicas are "
        "replaced one by one. Which share of the POSTs is lost?",
        "%",
        measured=lambda samples: 100 * (~samples["ok"].astype(bool)).mean(),
        right=within_points(1),
        reference=0,
        theory=lambda prediction: 100 * prediction["failed"].max(),
    ),
}


def predict(*, replicas: int) -> pd.DataFrame:
    """Return `THEORY` as numbers, for n `replicas`.

    Columns: `step`, `share` (of version 2, 0 to 1; one row per replaced replica while rolling),
    `changing` (whether the step is the rolling one), `failed` (share of the POSTs).
    """
    rolling = [(DURING, done / (replicas - 1)) for done in range(replicas)]
    rows = [(BEFORE, 0.0), *rolling, (AFTER, 1.0)]
    table = pd.DataFrame(rows, columns=["step", "share"])
    return table.assign(changing=table["step"] == DURING, failed=0)


def measure(
    env: Environment, *, replicas: int = 3, rate: float = RATE, seconds: float = 0.5
) -> pd.DataFrame:
    """Roll from version 1 to 2 while `rate` users per second are created.

    Also for `seconds` before and after it. `user-service` must take its time over each user:
    configure USER_SECONDS. Leaves version 2.

    Returns:
        Columns: those of `Posts.samples`, `runtime`, `attempt`.
    """
    start_version_1(env, replicas)
    with Posts(env, rate=rate) as posts:
        posts.step(BEFORE, seconds=seconds)
        posts.step(DURING)
        env.roll(SERVICE, 2)
        posts.step(AFTER, seconds=seconds)
    return posts.samples.assign(runtime=env.runtime, attempt=1)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Require that every POST is answered and creates one user, and that versions keep to their steps.

    Policy: every attempt, since a POST that was lost once was lost (see `judge_release`).
    """
    return judge_release(__name__, JUDGED, samples, prediction)


def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw which replica served each request over time (s), and version 2's share (%)."""
    return plot_release(
        samples,
        prediction,
        action="Every replica was replaced",
        time_label="time since the roll began (s)",
        height=4.4,
    )
