"""Synthetic samples of phase 2's counters, limits and throughput: what a judge sees, without a system."""

import pandas as pd

from labs.experiments.counter_cure import predict_counter_cure
from labs.experiments.counter_drift import predict_counter_drift
from labs.experiments.limits import predict_limits

REPLICAS = (1, 2, 3, 4)
REQUESTS = 10


def counter_drift_prediction() -> pd.DataFrame:
    return predict_counter_drift(REQUESTS, replicas=REPLICAS)


def counter_drift(first: int = 0) -> pd.DataFrame:
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


def counter_cure_prediction() -> pd.DataFrame:
    return predict_counter_cure(192, concurrency=(1, 8, 32), replicas=3)


def counter_cure() -> pd.DataFrame:
    """What three replicas count of 192 calls: memories a third, GET then SET less when calls overlap."""
    counted = {"memory": (64, 63, 64), "getset": (192, 51, 17), "incr": (192, 192, 192)}
    rows = [
        {
            "store": store,
            "concurrency": callers,
            "requests": 192,
            "answered": 192,
            "counted": float(found),
            "overlap": 0.8 * callers,
        }
        for store, all_found in counted.items()
        for callers, found in zip((1, 8, 32), all_found, strict=True)
    ]
    return pd.DataFrame(rows).assign(runtime="process", attempt=1)


def limits_prediction() -> pd.DataFrame:
    return predict_limits(replicas=(1, 2, 3))


def limits() -> pd.DataFrame:
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
