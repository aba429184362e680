"""Copies of a replica that waits: awaited waits, which one replica takes together, and blocking ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from labs.experiments.idle import IdleMeter
from labs.experiments.phase2.computations import warm_up
from labs.experiments.rates import TOLERANCE, best_rate, rate
from labs.figures import BLUE, INK, ORANGE, PREDICTION, canvas, legend, styled
from labs.guessing import Guess, within_factor
from labs.judging import SETTLED, Case, Finding, doubt, every_attempt, failure, plural, verdict
from labs.load.calls import ask

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment
    from labs.verdicts import Verdict

TITLE = "Do copies carry more when the work is waiting?"

THEORY = (
    "One replica awaits any number of waits together, so m callers get m / s answers per second from "
    "one replica and from n. A wait of s seconds that blocks the event loop is served alone: n "
    "replicas serve n / s per second, on any number of cores."
)

GATEWAY = "api-gateway"

AWAITED, BLOCKING = "awaited", "blocking"

PATHS = {AWAITED: "/api/non-blocking", BLOCKING: "/api/blocking"}

COLOURS = {AWAITED: BLUE, BLOCKING: ORANGE}

CALLERS = 12
"""Callers at a time: each replica has several waiting, and no core is busy with them."""

IDLE = 0.5
"""Idle cores from which on the system is why too little was carried: waiting needs none."""

ALIKE = 0.4
"""Of the predicted ratio of awaited to blocking rates: a replica below this serves both kinds alike. Other programs
slow both."""

JUDGED = (
    "three replicas of awaited work carry what one does, and three of blocking waits carry three times "
    "as much: rates within 20 %"
)

GUESSES = {
    "times": Guess(
        "Twelve callers send requests that only wait (await asyncio.sleep). How many times as many "
        "answers per second as one replica do three replicas give?",
        "times",
        measured=lambda samples: _gain_of_awaiting(summarise(samples), "achieved"),
        right=within_factor(1.3),
        reference=1,
        theory=lambda prediction: _gain_of_awaiting(prediction, "rate"),
    ),
}


def predict(*, seconds: float = 0.1, replicas: Sequence[int] = (1, 3)) -> pd.DataFrame:
    """Return `THEORY` as numbers.

    Columns: `work`, `replicas`, `seconds` (of each wait), `rate` (answers per second).
    """
    rows = [
        [work, n, seconds, (CALLERS if work == AWAITED else n) / seconds]
        for work in PATHS
        for n in replicas
    ]
    return pd.DataFrame(rows, columns=["work", "replicas", "seconds", "rate"])


def measure(
    env: Environment,
    *,
    seconds: float = 0.1,
    replicas: Sequence[int] = (1, 3),
    each: float = 1.2,
) -> pd.DataFrame:
    """Let 12 callers request waits of `seconds` for about `each` seconds, of both kinds, from each n replicas.

    A closed loop: a caller sends its next request when it has a response. Leaves the last number of
    replicas.

    Returns:
        One row per request. Columns: `work`, `replicas`, `sent` and `ended` (unix seconds), `status`,
        `idle` (cores that no program used meanwhile), `runtime`, `attempt`.
    """
    expected = predict(seconds=seconds, replicas=replicas).set_index(["work", "replicas"])["rate"]
    parts = []
    for n in replicas:
        url = env.scale(GATEWAY, n).url
        warm_up(env)
        for work, path in PATHS.items():
            number = CALLERS + round(each * expected[work, n])
            meter = IdleMeter()
            rows = ask(f"{url}{path}?seconds={seconds}", requests=number, together=CALLERS)
            idle = meter.cores()
            part = rows[["sent", "ended", "status"]].assign(work=work, replicas=n, idle=idle)
            parts.append(part)
    return pd.concat(parts, ignore_index=True).assign(runtime=env.runtime, attempt=1)


def _gain_of_awaiting(rates: pd.DataFrame, column: str) -> float:
    awaited = rates[rates["work"] == AWAITED]
    by_replicas = awaited.groupby("replicas")[column].median().sort_index()
    return float(by_replicas.iloc[-1] / by_replicas.iloc[0])


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """Compare each rate with the predicted one, within `TOLERANCE`.

    More than predicted fails, since nothing makes a wait shorter. Less fails on idle cores, and where
    awaited waits are served as slowly as blocking ones; else the best part of the window decides,
    because what other programs hold up is held up for a while only.
    Policy `every_attempt`: an attempt that carried the rate shows that the system can, and a failure
    was seen on idle cores.
    """
    rates = summarise(samples)
    cases = []
    for expected in prediction.to_dict("records"):
        work, n = expected["work"], expected["replicas"]
        part = rates[(rates["work"] == work) & (rates["replicas"] == n)]
        ratio = expected["rate"] * expected["seconds"] / n
        findings = [_finding(row, expected, ratio) for row in part.to_dict("records")]
        details = {"predicted": expected["rate"], "measured": part["achieved"].tolist()}
        cases.append(Case(f"{work}, {plural(n, 'replica')}", findings, details))
    return verdict(__name__, JUDGED, cases, every_attempt)


def _finding(row: Mapping[Any, Any], expected: Mapping[Any, Any], ratio: float) -> Finding:
    """Return the finding on one rate; `ratio` is the predicted one of it to that of blocking waits."""
    if not row["answered"]:
        return failure("not every request was answered")
    if row["achieved"] > (1 + TOLERANCE) * expected["rate"]:
        return failure("carried more than predicted")
    enough = (1 - TOLERANCE) * expected["rate"]
    if row["achieved"] >= enough:
        return SETTLED
    if row["work"] == AWAITED and row["achieved"] < ALIKE * ratio * row["blocking"]:
        return failure("awaited waits were served as slowly as blocking ones")
    if row["idle"] >= IDLE:
        return failure("carried less than predicted, on cores that were idle")
    return SETTLED if row["best"] >= enough else doubt("other programs kept the cores busy")


def summarise(samples: pd.DataFrame) -> pd.DataFrame:
    """Return one row per attempt, kind of work and number of replicas.

    Columns: `attempt`, `work`, `replicas`, `achieved` and `best` (answers per second, while every
    caller had a request under way), `blocking` (the rate of blocking waits on as many replicas),
    `answered` (whether all were), `idle` (cores).
    """
    rows = []
    for key, part in samples.groupby(["attempt", "work", "replicas"]):
        window = part["ended"].min(), part["sent"].max()
        rows.append(
            {
                **dict(zip(("attempt", "work", "replicas"), key, strict=True)),
                "achieved": rate(part["ended"], *window),
                "best": best_rate(part["ended"], *window),
                "answered": bool((part["status"] == 200).all()),
                "idle": float(part["idle"].iloc[0]),
            }
        )
    table = pd.DataFrame(rows)
    alone = table[table["work"] == BLOCKING].set_index(["attempt", "replicas"])["achieved"]
    return table.join(alone.rename("blocking"), on=["attempt", "replicas"])


@styled
def plot(samples: pd.DataFrame, prediction: pd.DataFrame) -> Figure:
    """Draw the rate (answers per second) of each kind of work on each number of replicas, predictions dashed."""
    rates = summarise(samples)
    last = rates[rates["attempt"] == rates["attempt"].max()].set_index(["work", "replicas"])
    few, many = prediction["replicas"].min(), prediction["replicas"].max()
    gain = {w: last["achieved"][w, many] / last["achieved"][w, few] for w in COLOURS}
    figure, (ax,) = canvas(
        f"{plural(many, 'replica')} carried {gain[AWAITED]:.1f} times as much awaited work, "
        f"{gain[BLOCKING]:.1f} times blocking",
        runtime=samples["runtime"].iloc[0],
        note=f"{CALLERS} callers, waits of {prediction['seconds'].iloc[0]:g} s",
        height=3.8,
    )
    numbers = sorted(set(prediction["replicas"]))
    for index, (work, colour) in enumerate(COLOURS.items()):
        shift = 0.36 * (index - 0.5)
        part = last.loc[work]["achieved"]
        at = [numbers.index(n) + shift for n in part.index]
        ax.bar(at, part, 0.32, color=colour, label=f"{work} waits")
        for row in prediction[prediction["work"] == work].to_dict("records"):
            x, value = numbers.index(row["replicas"]) + shift, part[row["replicas"]]
            ax.plot([x - 0.18, x + 0.18], [row["rate"]] * 2, **PREDICTION)
            style: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "color": INK}
            ax.annotate(f"{value:.0f}", (x, max(value, row["rate"])), xytext=(0, 5), **style)
    ax.plot([], [], label="predicted", **PREDICTION)
    ax.set_ylim(0, 1.2 * max(prediction["rate"].max(), last["achieved"].max()))
    ax.set_xticks(range(len(numbers)), [plural(n, "replica") for n in numbers])
    ax.grid(axis="x", visible=False)
    ax.set_ylabel("rate of answers (requests/s)")
    legend(figure, ax)
    return figure
