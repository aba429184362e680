"""Start-up: services restarted one by one, and together, in turn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import psutil

from labs.figures import BLUE, FAULT_TEXT, GREEN, INK, PINK, PREDICTION, SOFT, canvas, styled
from labs.guessing import Guess, within_points
from labs.judging import SETTLED, Case, Finding, doubt, failure, seen_twice, verdict
from labs.machine import busy_seconds
from labs.machine import cores as usable_cores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment
    from labs.verdicts import Verdict

TITLE = "How much time does it save to start services together?"

THEORY = (
    "One by one takes the sum of the start-up times; together takes the slowest start, or "
    "all their processor time shared among the cores, whichever is longer: max(slowest, sum"
    " of CPU / C)."
)

ALONE, TOGETHER = "one by one", "together"

STRONG = (BLUE, GREEN, PINK)
"""Colours that carry white text."""

BOUND = 0.8
"""Together must take at most this share of the sum."""

ONE_CORE = doubt("one core: services that start together can only take turns on it")

JUDGED = "started together, the services are ready within 0.8 of the time they take one by one"

GUESSES = {
    "share": Guess(
        "All three services are started at the same time. Which share of the time does that take "
        "that they need one after the other?",
        "%",
        measured=lambda samples: 100 * summarise_rounds(samples)["ratio"].median(),
        right=within_points(15),
        reference=55,
        theory=lambda prediction: (
            100 * _predicted(prediction, TOGETHER) / _predicted(prediction, ALONE)
        ),
    ),
}


def predict(
    seconds: Sequence[float] | pd.Series[float],
    cpu_seconds: Sequence[float] | pd.Series[float],
    *,
    cores: float,
) -> pd.DataFrame:
    """Return `THEORY` as seconds until all services are ready.

    Args:
        seconds: Until one service that starts alone is ready, one number per service.
        cpu_seconds: Processor time that each of these starts takes.
        cores: What the services may use.

    Returns:
        Columns: `mode`, `seconds`.
    """
    together = max(*seconds, sum(cpu_seconds) / cores)
    return pd.DataFrame({"mode": [ALONE, TOGETHER], "seconds": [float(sum(seconds)), together]})


def measure(env: Environment, *, rounds: int = 3) -> pd.DataFrame:
    """Restart every service, in turn one by one and together; one row per restarted replica.

    An odd number of `rounds` has a round in the middle, which is then the one drawn.

    Columns: `mode`, `round`, those of `Environment.restart` (`service`, `replica`, `began`,
    `ready` in unix seconds, `seconds`, `cpu_seconds`), `free` (cores that other programs left,
    on average over that restart), `cores` (usable by this process), `runtime`, `attempt`.
    """
    names = list(env.services)
    parts = []
    for number in range(1, rounds + 1):
        for mode, calls in ((ALONE, [[name] for name in names]), (TOGETHER, [names])):
            parts += [_restart(env, call).assign(mode=mode, round=number) for call in calls]
    return pd.concat(parts, ignore_index=True).assign(
        cores=usable_cores(), runtime=env.runtime, attempt=1
    )


def _restart(env: Environment, names: Iterable[str]) -> pd.DataFrame:
    before, at = busy_seconds(), pd.Timestamp.now()
    rows = env.restart(*names)
    busy, seconds = busy_seconds() - before, (pd.Timestamp.now() - at).total_seconds()
    others = max(0.0, busy - float(rows["cpu_seconds"].sum())) / seconds
    return rows.assign(free=(psutil.cpu_count() or 1) - others)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Pass when the median round's starts together take at most `BOUND` of its starts one by one.

    Policy: seen twice, by the median of each attempt. Inconclusive on one core, where there is
    nothing to share. A median above the bound is in doubt when other programs left too little of
    the machine for the theory to promise the bound; that doubt is one-sided, because in a round
    the modes take turns, and a busy machine does not make starts together cheap.
    """
    rounds = summarise_rounds(samples)
    ratio = float(rounds["ratio"].median())
    cores = int(samples["cores"].iloc[0])
    findings = [_finding(part, cores=cores) for _, part in rounds.groupby("attempt")]
    details = {
        "ratio": ratio,
        "predicted_ratio": float(_predicted(prediction, TOGETHER) / _predicted(prediction, ALONE)),
        "rounds": rounds.to_dict("records"),
    }
    return verdict(
        __name__,
        JUDGED,
        [Case("", findings)],
        seen_twice,
        details=details,
        extend=ONE_CORE not in findings,
    )


def _finding(rounds: pd.DataFrame, *, cores: int) -> Finding:
    if cores < 2:
        return ONE_CORE
    if float(rounds["ratio"].median()) <= BOUND:
        return SETTLED
    if float(rounds["possible"].median()) > BOUND:
        return doubt("other programs kept the cores busy")
    return failure("together took longer than that, on cores that were free")


def summarise_rounds(samples: pd.DataFrame) -> pd.DataFrame:
    """Return one row per round.

    Columns: `attempt`, `round`, the seconds of both modes, their `ratio`, and the `possible` ratio:
    the predicted one with the cores that other programs left.
    """
    rows = []
    for (attempt, number), part in samples.groupby(["attempt", "round"]):
        alone, together = (part[part["mode"] == mode] for mode in (ALONE, TOGETHER))
        free = min(float(together["cores"].iloc[0]), float(together["free"].iloc[0]))
        theory = predict(alone["seconds"], alone["cpu_seconds"], cores=max(free, 0.01))
        one_by_one = float(alone["seconds"].sum())
        at_once = float(together["ready"].max() - together["began"].min())
        rows.append(
            {
                "attempt": attempt,
                "round": number,
                ALONE: one_by_one,
                TOGETHER: at_once,
                "ratio": at_once / one_by_one,
                "possible": float(_predicted(theory, TOGETHER)) / one_by_one,
            }
        )
    return pd.DataFrame(rows)


def _predicted(prediction: pd.DataFrame, mode: str) -> float:
    return float(prediction.set_index("mode")["seconds"][mode])


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the start-up of each service as a bar, one by one above together, the predictions dashed.

    The round drawn is the one whose ratio is nearest to the median, which the verdict counts.
    """
    rounds = summarise_rounds(samples)
    middle = rounds.iloc[(rounds["ratio"] - rounds["ratio"].median()).abs().argmin()]
    shown = samples[
        (samples["attempt"] == middle["attempt"]) & (samples["round"] == middle["round"])
    ]
    one_by_one = float(middle[ALONE])
    cores = int(samples["cores"].iloc[0])
    figure, axes = canvas(
        f"Together takes {rounds['ratio'].median():.0%} of one by one",
        runtime=samples["runtime"].iloc[0],
        note=f"{cores} core{'s' * (cores != 1)}, the median of {len(rounds)} rounds",
        rows=2,
        height=4.2,
    )
    for ax, mode in zip(axes, (ALONE, TOGETHER), strict=True):
        _draw_mode(ax, shown[shown["mode"] == mode], mode)
        label = "predicted" if mode == ALONE else "lower bound"
        _mark(ax, _predicted(prediction, mode), label, PREDICTION)
    style = {"color": FAULT_TEXT, "linewidth": 1.4, "linestyle": ":"}
    _mark(axes[1], BOUND * one_by_one, "bound: 0.8 of the sum", style, side="left")
    axes[1].set_xlim(0, 1.12 * max(one_by_one, _predicted(prediction, ALONE)))
    axes[1].set_xlabel("time since the first start (s)")
    return figure


def _draw_mode(ax: Axes, rows: pd.DataFrame, mode: str) -> None:
    """Draw one bar per service; one by one, each begins where the one before was ready."""
    rows = rows.reset_index(drop=True)
    left = rows["began"] - rows["began"].min()
    if mode == ALONE:
        left = rows["seconds"].cumsum() - rows["seconds"]
    colours = {name: STRONG[index] for index, name in enumerate(sorted(set(rows["service"])))}
    ax.barh(
        rows["service"],
        rows["seconds"],
        left=left,
        color=[colours[name] for name in rows["service"]],
        height=0.66,
    )
    for name, start, seconds in zip(rows["service"], left, rows["seconds"], strict=True):
        ax.annotate(
            f"{seconds:.1f} s",
            (start, name),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            size=9,
            color="white",
            weight="bold",
        )
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)
    ax.set_title(mode, color=SOFT, weight="normal")


def _mark(ax: Axes, at: float, label: str, style: dict[str, Any], *, side: str = "right") -> None:
    """Draw a vertical line with its label above; the label ends there (`right`) or begins there (`left`)."""
    ax.axvline(at, **style)
    ax.annotate(
        label,
        (at, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 2),
        textcoords="offset points",
        ha=side,
        va="bottom",
        size=8.5,
        color=style.get("color", INK),
    )
