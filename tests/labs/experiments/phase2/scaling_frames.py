"""Synthetic samples of phase 2's counters, limits and throughput: what a judge sees, without a system."""

import numpy as np
import pandas as pd

from labs.experiments.phase2 import atomic_counter, counter_drift, limits, throughput, workers
from labs.experiments.phase2.workers import DURING, HORIZONTAL, VERTICAL

REPLICAS = (1, 2, 3, 4)
REQUESTS = 10


def counter_drift_prediction() -> pd.DataFrame:
    return counter_drift.predict(REQUESTS, replicas=REPLICAS)


def counter_drift_samples(first: int = 0) -> pd.DataFrame:
    """Ten requests in turn to fresh memories; replica `first` is the first one asked."""
    rows = [
        {
            "number": number + 1,
            "count": float(number // n + 1),
            "instance": f"api-gateway-{(number + first) % n + 1}",
            "status": 200,
            "replicas": n,
        }
        for n in REPLICAS
        for number in range(REQUESTS)
    ]
    return pd.DataFrame(rows).assign(runtime="process", attempt=1)


def atomic_counter_prediction() -> pd.DataFrame:
    return atomic_counter.predict(192, concurrency=(1, 8, 32), replicas=3)


def atomic_counter_samples() -> pd.DataFrame:
    """What three replicas count of 192 calls: memories a third, GET then SET less when calls overlap."""
    counted = {"memory": (64, 63, 64), "getset": (192, 51, 17), "incr": (192, 192, 192)}
    rows = [
        {
            "store": store,
            "concurrency": callers,
            "requests": 192,
            "answered": 192,
            "counted": float(count),
            "overlap": 0.8 * callers,
        }
        for store, counts in counted.items()
        for callers, count in zip((1, 8, 32), counts, strict=True)
    ]
    return pd.DataFrame(rows).assign(runtime="process", attempt=1)


def limits_prediction() -> pd.DataFrame:
    return limits.predict(replicas=(1, 2, 3))


def limits_samples() -> pd.DataFrame:
    """Bursts of 20 requests per replica within a window of 2 s, admitted as predicted."""
    rows = [
        {
            "sent": 1.7e9 + 0.001 * number,
            "ended": 1.7e9 + 0.2 + 0.001 * number,
            "status": 200 if number < burst["admitted"] else 429,
            "store": burst["store"],
            "replicas": burst["replicas"],
        }
        for burst in limits_prediction().to_dict("records")
        for number in range(burst["requests"])
    ]
    return pd.DataFrame(rows).assign(window=2.0, runtime="process", attempt=1)


BEGAN = 1.7e9


def throughput_prediction() -> pd.DataFrame:
    return throughput.predict(seconds=0.05, cores=2, replicas=REPLICAS)


def throughput_samples(
    *, carried: float = 1.0, idle: float = 0.0, lag: float = 0.0
) -> pd.DataFrame:
    """Steps of a second offered to n replicas, which answer `carried` of what is predicted."""
    parts = []
    for case in throughput_prediction().to_dict("records"):
        began = BEGAN + 100 * case["replicas"] + (1.2 if case["step"] > 1 else 0)
        number = np.arange(round(1.2 * case["offered"]))
        intended = began + number / case["offered"]
        ended = began + 0.05 + number / (carried * case["achieved"])
        step = {"stream": str(case["step"]), "replicas": case["replicas"], "step": case["step"]}
        window = {"began": began + 0.3, "ended": began + 1.2}
        answers = {"intended": intended, "lag": lag, "latency": ended - intended}
        parts.append(pd.DataFrame(answers).assign(status=200, error="", **step, **window))
    samples = pd.concat(parts, ignore_index=True)
    return samples.assign(ok=True, idle=idle, runtime="process", attempt=1)


def workers_prediction() -> pd.DataFrame:
    return workers.predict(seconds=0.05, cores=2)


def workers_samples(*, rate: float = 40.0, idle: float = 0.0) -> pd.DataFrame:
    """Both shapes work off 80 requests, a worker in turn; after the kill 0 and 2 of 3 answer."""
    rows = []
    for shape, dead in ((VERTICAL, (0, 1, 2)), (HORIZONTAL, (0,))):
        for number in range(96):
            worker, during = number % 3, number >= 80
            lost = during and (worker in dead)
            ended = BEGAN + number / rate + during
            row = {
                "shape": shape,
                "when": DURING if during else "before",
                "sent": ended - 16 / rate,
            }
            who = "" if lost else f"api-gateway-1, process {worker}"
            rows.append(row | {"ended": ended, "status": 502 if lost else 200, "worker": who})
    samples = pd.DataFrame(rows).assign(killed=BEGAN + 81 / rate, idle=idle)
    # nginx goes on to the next replica: no request is refused while one is left
    survived = samples["shape"] == HORIZONTAL
    lost = survived & (samples["status"] == 502)
    samples.loc[lost, ["status", "worker"]] = [200, "api-gateway-1, process 1"]
    return samples.assign(runtime="process", attempt=1)
