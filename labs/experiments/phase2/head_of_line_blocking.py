"""Head-of-line blocking: which share of a steady stream waits while one of n replicas computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.experiments.bystanders import (
    GATEWAY,
    NEAR_AN_END,
    RATE,
    USERS,
    Watched,
    classify,
    draw_computation,
    stream,
    watch,
)
from labs.experiments.phase2.computations import warm_up
from labs.figures import SOFT, canvas, legend, styled
from labs.guessing import Guess, within_points
from labs.judging import SETTLED, Case, Finding, doubt, failure, plural, pooled, verdict
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "Which requests does one computation on n replicas keep waiting?"

THEORY = (
    "While one of n replicas computes on its event loop, the requests that nginx sends to it in "
    "turn wait for the end of the computation, and no others do: a share 1 / n of a steady "
    "stream."
)

BOUND = 0.1
"""By which the share may differ from 1 / n."""

BUSY = 0.5
"""Cores that other programs used during a computation, from which on they may be why more than
the predicted share was slow."""

JUDGED = "one computation on n replicas delays a share 1 / n of a steady stream, within 0.1"

GUESSES = {
    "waiting": Guess(
        "One of three replicas computes, and nginx sends each replica a request in its turn. Which "
        "share of the other requests waits for the end of the computation?",
        "%",
        measured=lambda samples: 100 * _share_on_the_most(samples),
        right=within_points(10),
        reference=33,
        theory=lambda prediction: (
            100 * prediction.set_index("replicas")["share"].sort_index().iloc[-1]
        ),
    ),
}


def predict(replicas: Sequence[int]) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `replicas`, `share` (0 to 1).
    """
    return pd.DataFrame({"replicas": list(replicas), "share": [1 / n for n in replicas]})


def measure(
    env: Environment,
    *,
    replicas: Sequence[int] = (1, 2, 3),
    seconds: float = 0.8,
    rounds: int = 1,
) -> pd.DataFrame:
    """Send a steady stream of GET /api/users to n replicas, and meanwhile computations, for each n.

    `rounds` computations of `seconds` CPU time, one at a time. Leaves the last number of replicas.

    Returns:
        One row per bystander. Columns: those of `bystanders.stream`, `replicas`, `runtime`,
        `attempt`.
    """
    parts = []
    for n in replicas:
        env.scale(GATEWAY, n)
        warm_up(env)
        parts.append(stream(env, USERS, seconds=seconds, rounds=rounds).assign(replicas=n))
    return pd.concat(parts, ignore_index=True).assign(runtime=env.runtime, attempt=1)


def _share_on_the_most(samples: pd.DataFrame) -> float:
    """Return the share of the bystanders that waited on the most replicas."""
    share = watch(samples[samples["replicas"] == samples["replicas"].max()]).share
    if share is None:
        raise ValueError("no bystander counts")
    return share


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare the share of the counted bystanders that waited with 1 / n, for each n, within `BOUND`.

    The attempts are pooled: a share is the sharper the more requests it counts. One that is too
    large on a machine that other programs kept busy is in doubt; a busy machine makes no bystander
    wait less for a computation.
    """
    cases = []
    rows: list[dict[Any, Any]] = prediction.to_dict("records")
    for expected in rows:
        watched = watch(samples[samples["replicas"] == expected["replicas"]])
        finding = watched.finding or _finding(watched, expected["share"])
        name = plural(expected["replicas"], "replica")
        cases.append(Case(name, [finding], {**expected, **watched.details}))
    return verdict(__name__, JUDGED, cases, pooled)


def _finding(watched: Watched, expected: float) -> Finding:
    """Return the finding on the share of one number of replicas."""
    bystanders = watched.counted.samples
    share = bystanders["waited"].mean()
    if share < expected - BOUND:
        return failure("fewer bystanders waited than predicted")
    if share <= expected + BOUND:
        return SETTLED
    if (bystanders["others"] >= BUSY).any():
        return doubt("other programs kept the cores busy")
    return failure("more bystanders waited than predicted")


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw latency (s) against when a bystander was sent, around the last computation, per n."""
    most = int(prediction["replicas"].max())
    share = watch(samples[samples["replicas"] == most]).share
    found = "an unknown share" if share is None else f"{share:.0%}"
    figure, axes = canvas(
        f"On {plural(most, 'replica')} one computation kept {found} of the stream waiting",
        runtime=samples["runtime"].iloc[0],
        note=f"GET {USERS}, {RATE} per second",
        rows=len(prediction),
        height=1.2 + 1.5 * len(prediction),
    )
    for ax, expected in zip(axes, prediction.to_dict("records"), strict=True):
        n, predicted = expected["replicas"], expected["share"]
        part = samples[samples["replicas"] == n]
        watched = watch(part)
        last = classify(part[part["attempt"] == part["attempt"].max()])
        draw_computation(ax, last[last["round"] == last["round"].max()], predicted)
        measured = "none counted" if watched.share is None else f"{watched.share:.0%} measured"
        counted = f"{len(watched.counted.samples)} of {watched.counted.of} counted"
        ax.set_title(
            f"{plural(n, 'replica')}: {predicted:.0%} wait, predicted; {measured} ({counted})",
            size=10,
        )
    figure.supxlabel(f"set aside: {NEAR_AN_END}", size=9, color=SOFT)
    axes[-1].set_xlabel("sent, since the computation was (s)")
    figure.supylabel(f"latency of GET {USERS} (s)", size=10)
    legend(figure, axes[0])
    return figure
