"""CPU-bound blocking."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from environment.waiting import wait_until
from labs.figures import PALETTE, PREDICTION, SOFT, canvas, legend, styled
from labs.load.burst import Burst
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

GATEWAY, USERS, CPU_BOUND = "api-gateway", "/api/users", "/api/cpu-bound"
COMPUTATION, BYSTANDER = "computation", "bystander"

HEAD_START = 0.01
"""Seconds by which the computations are sent before the bystander: nginx passes each on at once."""

RECEIVED_BEFORE = 0.003
"""Seconds by which nginx must have had every computation before the bystander, by its own log; the
replica then has them in its queue, which it takes in order. The log counts in milliseconds."""

LOG_SECONDS = 3.0
"""Longest wait for the log's last lines."""

TOLERANCE = 0.2
"""Of the predicted range, at least of one computation: a bystander that waits for none may take a
fifth of a computation longer than it does when nothing is computed."""

EXPLAINED = 0.5
"""CPU seconds that others used, per second of excess, from which on they may be its cause."""

JUDGED = (
    "the bystander waits for the computations ahead of it on its own replica, and for no other: "
    "delays within 20 % of the predicted range"
)


def stretch(busy: int, cores: float) -> tuple[float, float]:
    """The least and the most by which sharing the cores lengthens one of `busy` computations.

    Each core holds busy / cores of them, rounded down or up: a scheduler seldom moves the odd one.
    """
    return max(1.0, math.floor(busy / cores)), max(1.0, math.ceil(busy / cores))


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


def warm_up(env: Environment) -> None:
    """Let each replica of the gateway answer a few times: its first answers open connections."""
    with Burst(env[GATEWAY].url) as burst:
        burst.send("warm-up", USERS, times=4 * len(env[GATEWAY].replicas))


def trial(env: Environment, computations: int, *, seconds: float) -> pd.DataFrame:
    """One burst: the computations, and a bystander behind them."""
    with Burst(env[GATEWAY].url) as burst:
        burst.send(COMPUTATION, f"{CPU_BOUND}?seconds={seconds}", times=computations)
        burst.listen(HEAD_START)
        burst.send(BYSTANDER, USERS)
    return burst.samples


def with_replica(env: Environment, samples: pd.DataFrame) -> pd.DataFrame:
    """Adds to each request when nginx `received` it, and to which `replica` it passed it on.

    nginx's log holds the same requests in the same order; where somebody else used the front door
    meanwhile, nobody can tell whose is whose, and the columns stay empty.
    """
    sent = {
        path: samples[samples["request"] == name].sort_values("sent")
        for name, path in ((COMPUTATION, CPU_BOUND), (BYSTANDER, USERS))
    }
    since = float(samples["sent"].min()) - RECEIVED_BEFORE

    def received() -> dict[str, pd.DataFrame]:
        log = env.access_log()
        log = log[log["service"] == GATEWAY].assign(received=log["time"] - log["seconds"])
        log = log[log["received"] >= since].sort_values("received")
        return {path: log[log["path"].str.partition("?")[0] == path] for path in sent}

    def all_received() -> bool:
        return all(len(rows) >= len(sent[path]) for path, rows in received().items())

    wait_until(all_received, timeout=LOG_SECONDS)  # nginx answers first, and writes then
    parts = []
    for path, rows in received().items():
        known = len(rows) == len(sent[path])
        when = rows["received"].to_numpy() if known else math.nan
        where = rows["replica"].to_numpy() if known else ""
        parts.append(sent[path].assign(received=when, replica=where))
    return pd.concat(parts, ignore_index=True)


def summarise(samples: pd.DataFrame) -> pd.DataFrame:
    """One row per trial: `delay` of the bystander (s), `ahead` (computations that its replica says
    it did), `in_order` (nginx had them all before the bystander), `answered` (all of them), and
    `others` (CPU seconds).
    """
    rows = []
    for key, part in samples.groupby(["attempt", "replicas", "trial", "computations"]):
        bystander = part[part["request"] == BYSTANDER].iloc[0]
        computations = part[part["request"] == COMPUTATION]
        by_then = bystander["received"] - RECEIVED_BEFORE
        rows.append(
            {
                **dict(zip(("attempt", "replicas", "trial", "computations"), key, strict=True)),
                "delay": float(bystander["latency"]),
                "ahead": int((computations["instance"] == bystander["replica"]).sum()),
                "in_order": bool((computations["received"] <= by_then).all()),
                "answered": bool((part["status"] == 200).all()),
                "others": float(part["others"].iloc[0]),
            }
        )
    return pd.DataFrame(rows)


def judge(samples: pd.DataFrame, prediction: pd.DataFrame) -> Verdict:
    """For each k on each number of replicas, the median delay is within the tolerated range."""
    return judge_delays(__name__, JUDGED, samples, prediction)


def judge_delays(
    experiment: str, judged: str, samples: pd.DataFrame, prediction: pd.DataFrame
) -> Verdict:
    """The median delay of each predicted case is within the range and `TOLERANCE`.

    Set aside are trials whose order was another than the predicted one, and those that took longer
    while other programs used enough of the cores to be the reason. Nothing else on the machine
    makes a delay shorter.
    """
    trials = classify(samples, prediction)
    cases = [
        _case(trials[trials["case"] == case], expected)
        for case, expected in prediction.to_dict("index").items()
    ]
    return Verdict.of(
        experiment,
        judged,
        failures=[case["failure"] for case in cases if case["failure"]],
        doubts=[case["doubt"] for case in cases if case["doubt"]],
        details={"cases": cases},
    )


def classify(samples: pd.DataFrame, prediction: pd.DataFrame) -> pd.DataFrame:
    """The trials, with the `case` (index of the prediction) they belong to, and what they are
    worth: `counts`, or was set aside as out of `order` or `disturbed`.
    """
    cases = prediction.reset_index(names="case")
    trials = summarise(samples).merge(cases, on=["replicas", "computations"], suffixes=("", "_due"))
    _, most = tolerated(trials)
    excess = trials["delay"] - trials["high"]
    disturbed = (trials["delay"] > most) & (trials["others"] >= EXPLAINED * excess)
    trials["worth"] = disturbed.map({True: "disturbed", False: "counts"})
    trials.loc[~trials["in_order"] | (trials["ahead"] != trials["ahead_due"]), "worth"] = "order"
    return trials


def _case(trials: pd.DataFrame, expected: Mapping[Any, Any]) -> dict[str, Any]:
    """One predicted case: its numbers, and a `failure` or a `doubt` in words (else empty)."""
    n, k = expected["replicas"], expected["computations"]
    name = f"{k} computation{'s' * (k != 1)}, {n} replica{'s' * (n != 1)}"
    low, high = tolerated(expected)
    kept = trials[trials["worth"] == "counts"]["delay"]
    failure = doubt = ""
    if not trials["answered"].all():
        failure = f"{name}: not every request was answered"
    elif (trials["worth"] == "order").all():
        doubt = f"{name}: no bystander that was sent behind its share of them"
    elif kept.empty:
        doubt = f"{name}: other programs kept the cores busy"
    elif kept.median() < low:
        failure = f"{name}: the bystander waited less than predicted"
    elif kept.median() > high:
        failure = f"{name}: the bystander waited longer than predicted"
    measured = {"delays": trials["delay"].tolist(), "worth": trials["worth"].tolist()}
    return dict(expected) | measured | {"failure": failure, "doubt": doubt}


def tolerated(expected: Any) -> tuple[Any, Any]:
    """The least and the most that is accepted (s), where `low` to `high` is predicted."""
    low, high, one = expected["low"], expected["high"], expected["seconds"]
    return low - TOLERANCE * np.maximum(low, one), high + TOLERANCE * np.maximum(high, one)


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
