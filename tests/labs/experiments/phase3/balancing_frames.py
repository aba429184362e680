"""Synthetic samples of phase 3's experiments: frames as a judge gets them, without a system."""

import pandas as pd

from labs.experiments.bystanders import RATE as BYSTANDERS
from labs.experiments.phase3 import (
    autoscaling,
    distribution,
    health_check,
    long_request,
    slow_replica,
)
from labs.experiments.phase3.autoscaler import TARGET
from labs.experiments.phase3.autoscaling import WITH
from labs.experiments.phase3.health_check import DEAD, HANGING, TIMED_OUT
from labs.experiments.phase3.health_check import RATE as CHECKED
from labs.experiments.phase3.scaling_loop import WORK

WEIGHTS = (3, 2, 1)
CLIENTS = ("10.0.1.1", "10.0.1.99", "10.0.2.1", "10.0.3.1", "10.0.4.1", "10.0.5.1")


def distribution_prediction() -> pd.DataFrame:
    return distribution.predict(WEIGHTS, CLIENTS, requests=60)


def distribution_samples() -> pd.DataFrame:
    """Every replica gets what was predicted."""
    predicted = distribution_prediction()
    rows = predicted.loc[predicted.index.repeat(predicted["requests"])].drop(columns="requests")
    return rows.reset_index(drop=True).assign(runtime="process", attempt=1)


BEGAN = 1.7e9


def long_request_prediction() -> pd.DataFrame:
    return long_request.predict(("round_robin", "least_conn"), replicas=3)


def long_request_samples() -> pd.DataFrame:
    """One computation of a second for each algorithm: round robin sends every third there."""
    return pd.concat(
        [_bystanders("round_robin", every=3), _bystanders("least_conn", every=1000)],
        ignore_index=True,
    )


def _bystanders(algorithm: str, *, every: int) -> pd.DataFrame:
    """A bystander per 1 / RATE seconds, from 0.3 s before; each `every`-th meets the computation."""
    rows = []
    for number in range(int(1.6 * BYSTANDERS)):
        since = number / BYSTANDERS - 0.3
        waits = 0 < since < 1 and number % every == every - 1
        rows.append(
            {
                "intended": BEGAN + since,
                "lag": 0.0005,
                "latency": 1.003 - since if waits else 0.003,
                "status": 200,
                "ok": True,
                "round": int(since > 0),
                "began": BEGAN if since > 0 else None,
                "ended": BEGAN + 1 if since > 0 else None,
                "computed": 200 if since > 0 else None,
            }
        )
    samples = pd.DataFrame(rows)
    return samples.assign(algorithm=algorithm, runtime="process", attempt=1)


def health_check_prediction() -> pd.DataFrame:
    return health_check.predict(replicas=3, max_fails=1, fail_timeout=1)


def health_check_samples(
    *, failed: int = 2, every: float = 1.0, back: float = 0.0, waits: float = 1.0
) -> pd.DataFrame:
    """Three faults of three seconds: `failed` attempts in a row at the dead one, and one for each
    `every` seconds; it is back `back` s after its healing. With the read timeout twenty attempts
    fail at first, and their clients wait `waits` s."""
    return pd.concat(
        [
            _checked(DEAD, failed, every, back),
            _checked(HANGING, 0, 1, 0),
            _checked(TIMED_OUT, 20, 2, 0, waits=waits),
        ],
        ignore_index=True,
    )


def _checked(
    fault: str, failed: int, every: float, back: float, *, waits: float = 0.003
) -> pd.DataFrame:
    rows = []
    last = -1.0
    for number in range(int(4.5 * CHECKED)):
        since = number / CHECKED - 0.5
        turn = number % 3 == 2
        failing = fault != HANGING and turn and 0 <= since < 3
        tried = failing and (failed > 0 or (last >= 0 and since - last >= every))
        if tried:
            failed, last = failed - 1, since
        away = fault != HANGING and 0 <= since < 3 + back
        hangs = fault == HANGING and turn and 0 <= since < 3
        latency = 3.003 - since if hangs else waits if tried else 0.003
        rows.append(
            {
                "sent": BEGAN + since,
                "latency": latency,
                "failed": int(tried),
                "replica": "api-gateway-3" if turn and not away else "api-gateway-1",
                "intended": BEGAN + since,
            }
        )
    return pd.DataFrame(rows).assign(
        fault=fault,
        faulty="api-gateway-3",
        began=BEGAN,
        ended=BEGAN + 3,
        lag=0.0005,
        lost=0,
        runtime="process",
        attempt=1,
    )


def slow_replica_samples() -> pd.DataFrame:
    """400 requests for each case and algorithm, of which the slow replica gets what is predicted."""
    parts = []
    for row in slow_replica.predict().to_dict("records"):
        slow = pd.Series(range(400)) < round(400 * row["share"])
        part = pd.DataFrame({"slow": slow, "latency": 0.003 + row["delay"] * slow})
        case = {"algorithm": row["algorithm"], "rate": row["rate"], "delay": row["delay"]}
        intended = BEGAN + pd.Series(range(400)) / row["rate"]
        parts.append(part.assign(intended=intended, **case))
    samples = pd.concat(parts, ignore_index=True)
    return samples.assign(lag=0.0005, ok=True, runtime="process", attempt=1)


def autoscaling_prediction() -> pd.DataFrame:
    return autoscaling.predict(swings=1, window=2)


def autoscaling_samples(table: pd.DataFrame | None = None) -> pd.DataFrame:
    """Both loops, in intervals of two seconds, as predicted, or as in a table of that form."""
    table = autoscaling_prediction() if table is None else table
    rate = table["load"] * TARGET / WORK
    times = [
        [2 * row + n / r for n in range(int(2 * r))]
        for row, r in zip(table["interval"], rate, strict=True)
    ]
    requests = table.assign(since=times, answering=table["replicas"]).explode(
        "since", ignore_index=True
    )
    since = requests["since"].astype(float)
    return requests.drop(columns="load").assign(
        stream=requests["interval"].astype(str),
        since=since,
        intended=BEGAN + since,
        lag=0.0005,
        latency=0.053,
        status=200,
        error="",
        ok=True,
        watched=0.7,
        late=0.01,
        length=2.0,
        window=requests["loop"].map(lambda loop: 2 if loop == WITH else 1),
        runtime="process",
        attempt=1,
    )
