"""CPU-bound blocking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.experiments.bystanders import GATEWAY, USERS
from labs.experiments.phase2.computations import (
    classify,
    judge_delays,
    stretch,
    trial,
    warm_up,
    with_replica,
)
from labs.figures import PALETTE, PREDICTION, SOFT, canvas, legend, styled
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How long do computations on the event loop keep a bystander waiting?"

THEORY = (
    "Of k computations sent together to n replicas in turn, floor(k / n) are ahead of the "
    "bystander on the replica that is next. It waits for them: L0 + floor(k / n) x s x f."
)

JUDGED = (
    "the bystander waits for the computations ahead of it on its own replica, and for no other: "
    "delays within 20 % of the predicted range"
)


def predict(
    computations: Sequence[int],
    *,
    replicas: Sequence[int],
    seconds: float,
    unloaded: float,
    cores: int,
) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    The stretch f is between floor(b / C) and ceil(b / C), and at least 1, for b = min(k, n) busy
    replicas on C cores. `seconds` is s, of CPU time; `unloaded` is L0, in seconds. Columns:
    `replicas`, `computations`, `seconds`, `ahead`, `low` and `high` (the range of the delay, s).
    """
    rows = []
    for n in replicas:
        for k in computations:
            low, high = (k // n * seconds * each for each in stretch(min(k, n), cores))
            rows.append([n, k, seconds, k // n, unloaded + low, unloaded + high])
    return pd.DataFrame(
        rows, columns=["replicas", "computations", "seconds", "ahead", "low", "high"]
    )


def measure(
    env: Environment,
    *,
    computations: Sequence[int] = (0, 1, 2, 4),
    replicas: Sequence[int] = (1, 3),
    seconds: float = 0.3,
    rounds: int = 2,
) -> pd.DataFrame:
    """Send k computations of `seconds` CPU time together and GET /api/users behind them, for each
    k on each number of replicas, `rounds` times. Leaves the last number of replicas.

    One row per request. Columns: those of `Burst.samples`, `trial` (number), `replicas`,
    `computations`, `received` (unix seconds, by nginx), `replica` (which it went to), `runtime`,
    `attempt`.
    """
    parts = []
    for n in replicas:
        env.scale(GATEWAY, n)
        warm_up(env)
        sent = [
            trial(env, k, seconds=seconds).assign(trial=number, computations=k)
            for number, k in enumerate([k for _ in range(rounds) for k in computations])
        ]
        parts.append(with_replica(env, pd.concat(sent, ignore_index=True)).assign(replicas=n))
    samples = pd.concat(parts, ignore_index=True)
    return samples.assign(runtime=env.runtime, attempt=1)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """For each k on each number of replicas, the median delay is within the tolerated range."""
    return judge_delays(__name__, JUDGED, samples, prediction)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Delay (s) behind so many computations, a colour per number of replicas."""
    figure, (ax,) = canvas(
        "How long a bystander waits behind computations",
        runtime=samples["runtime"].iloc[0],
        note=f"{prediction['seconds'].iloc[0]:g} s each",
        height=4.4,
    )
    counts = sorted(set(prediction["computations"]))
    trials = classify(samples, prediction)
    groups = list(trials.groupby("replicas"))
    for index, (n, mine) in enumerate(groups):
        place = {
            k: number + 0.3 * (index - (len(groups) - 1) / 2) for number, k in enumerate(counts)
        }
        _draw_replicas(ax, mine, place, colour=PALETTE[index], name=f"{n} replica{'s' * (n != 1)}")
    if (trials["worth"] != "counts").any():
        ax.plot([], [], "o", ms=7, color=SOFT, mfc="none", label="set aside")
    ax.plot([], [], label="predicted", **PREDICTION)
    ax.set_xticks(range(len(counts)), [str(k) for k in counts])
    ax.set_xlim(-0.5, len(counts) - 0.5)
    ax.grid(axis="x", visible=False)
    ax.set_xlabel("computations sent together, just before (count)")
    ax.set_ylabel(f"delay of GET {USERS} (s)")
    legend(figure, ax)
    return figure


def _draw_replicas(
    ax: Axes, trials: pd.DataFrame, place: Mapping[Any, float], *, colour: str, name: str
) -> None:
    """Each case's predicted range as a dashed box, and the trials on it, hollow where set aside."""
    for k, case in trials.groupby("computations"):
        low, high = case["low"].iloc[0], case["high"].iloc[0]
        left, right = place[k] - 0.13, place[k] + 0.13
        ax.fill_between([left, right], low, high, color=colour, alpha=0.15, linewidth=0)
        for edge in {low, high}:
            ax.plot([left, right], [edge, edge], **PREDICTION)
    shift = trials.groupby("computations").cumcount() % 3 * 0.06 - 0.06
    counts = trials["worth"] == "counts"
    for mine, face in ((counts, colour), (~counts, "none")):
        where = trials[mine]["computations"].map(place) + shift[mine]
        style: dict[str, Any] = {"ms": 7, "color": colour, "mfc": face, "zorder": 3}
        ax.plot(where, trials[mine]["delay"], "o", **style, label=name if face == colour else None)
