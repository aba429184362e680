"""One queue on each event loop: k computations on n replicas, and a bystander behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from labs.experiments.bystanders import USERS
from labs.experiments.phase2.computations import measure_delays
from labs.experiments.phase2.delays import (
    classify,
    counted,
    judge_delays,
    mark_ends,
    predict_delays,
)
from labs.figures import INK, PALETTE, PREDICTION, SOFT, canvas, legend, mark_set_aside, styled
from labs.guessing import Guess, within_factor
from labs.judging import plural
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How long do computations on the event loop keep a bystander waiting?"

THEORY = (
    "Of k computations sent together to n replicas in turn, floor(k / n) are ahead of the "
    "bystander on the replica that is next. It waits for them: L0 + floor(k / n) x s x f. The stretch f "
    "of b busy replicas on C cores is b / C, and at least 1; bounds: floor(b / C) and ceil(b / C)."
)

JUDGED = (
    "the bystander waits for the computations ahead of it on its own replica, as long as they take, "
    "and for no other: delays within 20 %; on free cores they take the predicted time"
)

GUESSES = {
    "computations": Guess(
        "One replica gets four computations and, right behind them, a request for the list of "
        "users. How many computations' time does that request take?",
        "computations",
        measured=lambda samples: _behind_the_most(samples),
        right=within_factor(1.3),
        reference=4,
        theory=lambda prediction: _most_ahead(prediction),
    ),
}


def predict(
    computations: Sequence[int],
    *,
    replicas: Sequence[int],
    seconds: float,
    unloaded: float,
    cores: int,
) -> pd.DataFrame:
    """Return `THEORY` as numbers: see `predict_delays`."""
    return predict_delays(
        computations, replicas=replicas, seconds=seconds, unloaded=unloaded, cores=cores
    )


def measure(
    env: Environment,
    *,
    computations: Sequence[int] = (0, 1, 2, 4),
    replicas: Sequence[int] = (1, 3),
    seconds: float = 0.3,
    rounds: int = 2,
) -> pd.DataFrame:
    """Send k computations of `seconds` CPU time and a bystander: see `measure_delays`."""
    return measure_delays(env, computations, replicas, seconds=seconds, rounds=rounds)


def _behind_the_most(samples: pd.DataFrame) -> float:
    """Return the bystander's median delay on one replica, in computations, behind the most of them."""
    one = samples[samples["replicas"] == 1]
    behind = one[one["computations"] == one["computations"].max()]
    kinds = behind.groupby("request")
    return float(
        kinds["latency"].median()["bystander"] / kinds["cpu_seconds"].median()["computation"]
    )


def _most_ahead(prediction: pd.DataFrame) -> float:
    row = prediction[prediction["replicas"] == 1].sort_values("computations").iloc[-1]
    return float(row["fair"] / row["seconds"])


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Judge the median delay for each k on each number of replicas: see `judge_delays`."""
    return judge_delays(__name__, JUDGED, samples, prediction)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the delay (s) behind so many computations, a colour per number of replicas.

    Dashed is the prediction with cores that are shared equally; where a scheduler has a choice, its
    bounds are shaded.
    """
    trials = classify(samples, prediction)
    counts, groups = sorted(set(prediction["computations"])), list(trials.groupby("replicas"))
    figure, (ax,) = canvas(
        _title(trials, counts[-1]),
        runtime=samples["runtime"].iloc[0],
        note=f"{prediction['seconds'].iloc[0]:g} s each",
        height=4.4,
    )
    for index, (n, part) in enumerate(groups):
        shift = 0.16 * (index - (len(groups) - 1) / 2)
        own = prediction[prediction["replicas"] == n]
        _draw_theory(ax, own, shift, label="predicted" if index == 0 else None)
        _draw_trials(ax, part, shift, colour=PALETTE[index], name=plural(int(str(n)), "replica"))
    ax.set_xticks(counts)
    ax.set_xlim(counts[0] - 0.5, counts[-1] + 0.5)
    figure.supxlabel(str(counted(trials)), size=9, color=SOFT)
    ax.set_xlabel("computations sent together, just before (count)")
    ax.set_ylabel(f"delay of GET {USERS} (s)")
    legend(figure, ax)
    return figure


def _title(trials: pd.DataFrame, most: int) -> str:
    behind = trials[trials["computations"] == most].groupby("replicas")["delay"].median()
    found = ", ".join(f"{d:.1f} s on {plural(int(str(n)), 'replica')}" for n, d in behind.items())
    return f"Delay behind {plural(most, 'computation')}: {found}"


def _draw_theory(ax: Axes, prediction: pd.DataFrame, shift: float, *, label: str | None) -> None:
    """Draw each predicted delay as a dash, and the scheduler's bounds as a band around it."""
    for row in prediction.to_dict("records"):
        at = [row["computations"] + shift - 0.12, row["computations"] + shift + 0.12]
        ax.fill_between(at, row["low"], row["high"], color=INK, alpha=0.1, linewidth=0)
        ax.plot(at, [row["fair"]] * 2, label=label, **(PREDICTION | {"linestyle": (0, (2.5, 1.2))}))
        label = None


def _draw_trials(ax: Axes, trials: pd.DataFrame, shift: float, *, colour: str, name: str) -> None:
    spread = trials.groupby("computations").cumcount() % 3 * 0.05 - 0.05
    at, counts = trials["computations"] + shift + spread, trials["counts"]
    ax.plot(at[counts], trials[counts]["delay"], "o", ms=6, color=colour, label=name, zorder=3)
    mark_ends(ax, at[counts], trials[counts]["expected"])
    mark_set_aside(ax, at[~counts], trials[~counts]["delay"])
