"""Computations on a gateway's event loop, and the bystanders behind them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from environment.waiting import wait_until
from labs.experiments.bystanders import BYSTANDER, COMPUTATION, CPU_BOUND, GATEWAY, USERS
from labs.load.burst import Burst
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from environment import Environment

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


def stretch(busy: int, cores: float) -> tuple[float, float]:
    """The least and the most by which sharing the cores lengthens one of `busy` computations.

    Each core holds busy / cores of them, rounded down or up: a scheduler seldom moves the odd one.
    """
    return max(1.0, math.floor(busy / cores)), max(1.0, math.ceil(busy / cores))


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
