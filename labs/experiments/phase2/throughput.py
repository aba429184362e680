"""Throughput: computations offered to n replicas, less than they can carry and then more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from labs.experiments.idle import idle_during
from labs.experiments.rates import TOLERANCE, best_rate, compare, rate
from labs.figures import (
    FAULT_TEXT,
    INK,
    PALETTE,
    PREDICTION,
    SOFT,
    canvas,
    legend,
    mark_set_aside,
    styled,
)
from labs.guessing import Guess, within_factor
from labs.judging import (
    OFF_SCHEDULE,
    SETTLED,
    Case,
    Finding,
    doubt,
    failure,
    plural,
    seen_twice,
    verdict,
)
from labs.load.open_loop import Load, Stream
from labs.load.schedule import load_report
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from environment import Environment

TITLE = "How many computations per second do n replicas serve on C cores?"

THEORY = (
    "One core serves mu = 1 / s requests per second, of s seconds of CPU time each. n replicas on "
    "C cores serve min(n, C) x mu, and no more than they are offered."
)

GATEWAY = "api-gateway"

STEPS = (0.5, 1.1)
"""Offered, in parts of what the replicas would carry if each had a core: half of it, then more."""

SETTLE = 0.3
"""Seconds after a step's beginning that are not counted: its queue is still growing."""

LAG_LIMIT = 0.1
"""Seconds of the load's lag p99: rates are judged here, no latencies."""

TIMEOUT = 60.0

ORIGINAL = {1: 150, 3: 450}
"""Requests per second that the original course printed, by the number of instances."""

RULE = (
    "crosses are in doubt, or fail; set aside: windows without an idle core, of which the best part "
    "counts,\nand those in which the generator was late"
)

JUDGED = "n replicas carry min(n, C) times what one core does: within 20 % of the predicted rate"

GUESSES = {
    "times": Guess(
        "Every request computes. How many times as many requests per second as one replica do four "
        "replicas carry on this machine?",
        "times",
        measured=lambda samples: _gain(summarise(samples)),
        right=within_factor(1.3),
        reference=2,
        theory=lambda prediction: _gain(prediction),
    ),
}


def predict(*, seconds: float, cores: int, replicas: Sequence[int]) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `replicas`, `step` (of `STEPS`), `offered`, `carried` (at most) and `achieved`
    (requests per second), `seconds`, `cores`.
    """
    one = 1 / seconds
    rows = [[n, step, step * n * one, min(n, cores) * one] for n in replicas for step in STEPS]
    table = pd.DataFrame(rows, columns=["replicas", "step", "offered", "carried"])
    achieved = table[["offered", "carried"]].min(axis=1)
    return table.assign(achieved=achieved, seconds=seconds, cores=cores)


def measure(
    env: Environment,
    *,
    seconds: float = 0.05,
    step_seconds: float = 1.2,
    replicas: Sequence[int] = (1, 2, 3, 4),
) -> pd.DataFrame:
    """Offer n replicas computations of `seconds` CPU time: half of what n cores would carry, then more.

    For `step_seconds` each. Leaves the last number of replicas.

    Returns:
        One row per request. Columns: those of `Load.samples`, `replicas`, `step`, `began` and
        `ended` (unix seconds: what is counted of the step), `idle` (cores that no program used
        or waited for meanwhile), `runtime`, `attempt`.
    """
    parts = []
    for n in replicas:
        url = f"{env.scale(GATEWAY, n).url}/api/cpu-bound?seconds={seconds}"
        edges = [(step, index * step_seconds) for index, step in enumerate(STEPS)]
        streams = [
            Stream(
                str(step),
                url,
                rate=step * n / seconds,
                begins=at,
                ends=at + step_seconds,
                timeout=TIMEOUT,
            )
            for step, at in edges
        ]
        with Load(*streams, seconds=len(STEPS) * step_seconds, seed=env.seed) as load:
            idle = [idle_during(load, at + SETTLE, at + step_seconds) for _, at in edges]
        for (step, at), cores in zip(edges, idle, strict=True):
            began, ended = load.begun + at + SETTLE, load.begun + at + step_seconds
            window = {"step": step, "began": began, "ended": ended, "idle": cores}
            sent = load.samples["stream"] == str(step)
            parts.append(load.samples[sent].assign(replicas=n, **window))
    return pd.concat(parts, ignore_index=True).assign(runtime=env.runtime, attempt=1)


def _gain(rates: pd.DataFrame) -> float:
    """Return the highest rate of the most replicas, as a multiple of that of one."""
    most = rates.groupby("replicas")["achieved"].max().sort_index()
    return float(most.iloc[-1] / most[1])


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare each rate with the predicted one, within `TOLERANCE`: see `compare`.

    Policy: seen twice. A busy machine makes a rate lower and never higher, and cores may be idle at
    another moment than the one in which the replica lacked them. So a low rate fails when two attempts
    show it on idle cores and none shows the rate; too much, or a lost request, fails at once. A low
    rate is in doubt where no core was idle, and so is an attempt whose load generator was late.
    """
    rates = summarise(samples)
    lost = failure("requests were lost", certain=True) if (~samples["ok"]).any() else SETTLED
    cases = [Case("", [lost])]
    for expected in prediction.to_dict("records"):
        n, step = expected["replicas"], expected["step"]
        part = rates[(rates["replicas"] == n) & (rates["step"] == step)]
        name = f"{plural(n, 'replica')}, {'more' if step > 1 else 'less'} than full"
        cases.append(Case(name, [_finding(row, expected) for row in part.to_dict("records")]))
    details = {"rates": rates.to_dict("records")}
    return verdict(__name__, JUDGED, cases, seen_twice, details=details)


def _finding(row: Mapping[Any, Any], expected: Mapping[Any, Any]) -> Finding:
    return doubt(OFF_SCHEDULE) if row["lagged"] else compare(row, expected)


def summarise(samples: pd.DataFrame) -> pd.DataFrame:
    """Return one row per attempt, number of replicas and step.

    Columns: `attempt`, `replicas`, `step`, `offered`, `achieved` and `best` (requests per second),
    `idle` (cores), and whether the generator `lagged`.
    """
    rows = []
    for key, part in samples.groupby(["attempt", "replicas", "step"]):
        all_of_load = samples[(samples["attempt"] == key[0]) & (samples["replicas"] == key[1])]
        window = part["began"].iloc[0], part["ended"].iloc[0]
        answers = all_of_load["intended"] + all_of_load["latency"]
        rows.append(
            {
                **dict(zip(("attempt", "replicas", "step"), key, strict=True)),
                "offered": rate(part["intended"], *window),
                "achieved": rate(answers, *window),
                "best": best_rate(answers, *window),
                "idle": float(part["idle"].iloc[0]),
                "lagged": not load_report(part, lag_limit=LAG_LIMIT).kept_schedule,
            }
        )
    return pd.DataFrame(rows)


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw achieved against offered rate, both in what one core does.

    Beside them the core ceiling, and the original course's two points.
    """
    rates = summarise(samples)
    one, cores = 1 / prediction["seconds"].iloc[0], int(prediction["cores"].iloc[0])
    figure, (ax,) = canvas(
        _title(rates, one, cores),
        runtime=samples["runtime"].iloc[0],
        height=4.8,
    )
    most = max(4.6, 1.05 * float(rates["offered"].max() / one))
    for index, n in enumerate(sorted(int(number) for number in set(rates["replicas"]))):
        part = rates[rates["replicas"] == n]
        _draw_rates(ax, part, prediction, color=PALETTE[index], label=plural(n, "replica"))
        offered = np.array([0, min(n, cores), most])
        predicted = "predicted" if index == 0 else None
        ax.plot(offered, np.minimum(offered, min(n, cores)), label=predicted, **PREDICTION)
    ax.axhline(cores, color=FAULT_TEXT, linewidth=1.2, linestyle=":")
    _write(ax, 0.02, cores, "the core ceiling", FAULT_TEXT)
    _draw_original(ax, cores)
    ax.set_xlim(0, most)
    ax.set_ylim(0, 3.5)
    figure.supxlabel(RULE, size=8.5, color=SOFT)
    ax.set_xlabel(f"offered (1 = what a core computes: {one:g} requests/s)")
    ax.set_ylabel("achieved (in the same unit)")
    legend(figure, ax)
    return figure


def _title(rates: pd.DataFrame, one: float, cores: int) -> str:
    """Return what the most replicas carried, by the attempt in which they carried most."""
    most = int(rates["replicas"].max())
    carried = rates[(rates["replicas"] == most) & (rates["step"] > 1)]["best"].max()
    found = f"{carried / one:.1f} times what a core computes"
    return f"{plural(most, 'replica')} carried {found}, on {plural(cores, 'core')}"


def _draw_rates(
    ax: Axes, rates: pd.DataFrame, prediction: pd.DataFrame, *, color: str, label: str
) -> None:
    """Draw one number of replicas' rates, and below each the whole window's where its best part decided."""
    expected = prediction.set_index(["replicas", "step"]).to_dict("index")
    for row in rates.to_dict("records"):
        case = expected[row["replicas"], row["step"]]
        x, whole, best = (case["seconds"] * row[name] for name in ("offered", "achieved", "best"))
        low = row["achieved"] < (1 - TOLERANCE) * case["achieved"]
        settled = _finding(row, case) == SETTLED
        if (low and settled) or row["lagged"]:
            mark_set_aside(ax, [x], [whole])
        if not row["lagged"]:
            y = best if low and settled else whole
            ax.plot(x, y, "o" if settled else "X", ms=8, color=color)
    ax.plot([], [], "o", ms=8, color=color, label=label)


def _draw_original(ax: Axes, cores: int) -> None:
    """Draw the original's points, in what its own single instance did, and name what they would take."""
    one = ORIGINAL[1]
    for n, printed in ORIGINAL.items():
        ax.plot(n, printed / one, "*", ms=15, color=INK, markerfacecolor="none", zorder=5)
        text = f"the original: {printed} requests/s, {plural(n, 'instance')}"
        if n > cores:
            text += f"\nif it computes, that takes {n} cores"
        ax.annotate(
            text,
            (n, printed / one),
            xytext=(10, 0 if n > cores else -16),
            textcoords="offset points",
            size=8.5,
            color=SOFT,
        )


def _write(ax: Axes, x: float, y: float, text: str, colour: str) -> None:
    style: dict[str, Any] = {"size": 8.5, "color": colour}
    ax.annotate(text, (x, y), xytext=(2, 4), textcoords="offset points", **style)
