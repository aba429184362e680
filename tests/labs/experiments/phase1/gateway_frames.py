"""Synthetic samples of the experiments with a gateway's protections, for judging without a system."""

import pandas as pd

from labs.experiments.phase1 import blocking, circuit_breaker, rate_limit, retry_storm
from labs.experiments.phase1.blocking import BLOCKING, NON_BLOCKING, WITNESS
from labs.experiments.phase1.circuit_breaker import AFTER, FAILURES, REFUSALS, WAITING
from labs.experiments.phase1.rate_limit import FIXED, MOVING
from labs.experiments.phase1.retry_storm import BREAKER, BUDGET, LAYERS

WINDOW_SECONDS = 2.0
MOVING_ADMITS = {0, 1, 2, 3, 4, 21}
FIXED_ADMITS = {0, 1, 2, 3, 4, 21, 22, 23, 24, 25}
"""Numbers from 21 on are sent after the end of the first window."""


def rate_limit_prediction() -> pd.DataFrame:
    return rate_limit.predict(seconds=WINDOW_SECONDS)


def rate_limit_samples(
    moving: set[int] = MOVING_ADMITS, fixed: set[int] = FIXED_ADMITS, *, late: float = 0.0
) -> pd.DataFrame:
    """Before each window one request at 0 s and forty around its end; those of these numbers get in.

    Each takes 4 ms; the forty come `late` seconds later than planned.
    """
    burst = [WINDOW_SECONDS - 0.4 + 0.02 * number + late for number in range(40)]
    rows = [
        {
            "sent": at,
            "ended": at + 0.004,
            "status": 200 if number in admitted else 429,
            "window": window,
        }
        for window, admitted in ((MOVING, moving), (FIXED, fixed))
        for number, at in enumerate([0.0, *burst])
    ]
    return pd.DataFrame(rows).assign(runtime="process", attempt=1)


def circuit_breaker_prediction() -> pd.DataFrame:
    return circuit_breaker.predict()


def circuit_breaker_samples(
    *, refused: int = 100, opens_after: int = 3, probes: int = 1, leaks: int = 0
) -> pd.DataFrame:
    """A second open; `refused` of the refusals reach the upstream, then `opens_after` failures,
    `leaks` more while it is open, `probes` of fifty that come together, and the rest."""
    calls, rows = 0, []

    def ask(part: str, number: int, status: int, began: float, *, reach: set[int]) -> None:
        nonlocal calls
        for index in range(number):
            calls += index in reach
            sent = began + 0.01 * index
            rows.append({"part": part, "sent": sent, "ended": sent + 0.008, "status": status})
            rows[-1] |= {"calls": calls, "state": "closed", "correlation": f"{part}-{index}"}

    leaking = set(range(opens_after + 2, opens_after + 2 + leaks))
    ask(REFUSALS, 100, 404, 0.0, reach=set(range(refused)))
    ask(FAILURES, 20, 503, 1.0, reach=set(range(opens_after)) | leaking)
    calls += probes
    ask(WAITING, 50, 503, 3.0, reach=set())
    for row in rows[-probes:] if probes else []:
        row |= {"ended": row["sent"] + 0.9, "status": 200}
    ask(AFTER, 3, 200, 5.0, reach={0, 1, 2})
    return pd.DataFrame(rows).assign(open_seconds=1.0, runtime="process", attempt=1)


def retry_storm_prediction() -> pd.DataFrame:
    return retry_storm.predict(seconds=1.0)


def retry_storm_samples(*, breaker_failures: int = 3) -> pd.DataFrame:
    """Five clicks each way with 1, 2 and 3 tries; the breaker opens after so many failures.

    Two hundred clicks make as many retries as the budget holds, 150 of them at most.
    """
    rows = [
        {"way": BUDGET, "tries": tries, "click": 1, "clicks": 200, "calls": calls, "seconds": 1.1}
        for tries, calls in ((1, 200), (2, 349), (3, 350))
    ]
    for way, layers in list(LAYERS.items())[:3]:
        for tries in (1, 2, 3):
            left = breaker_failures if way == BREAKER else 10**6
            for click in range(1, 6):
                calls = min(tries**layers, left)
                left -= calls
                row = {"way": way, "tries": tries, "click": click, "calls": calls}
                named = {"correlation": f"{way}, {tries} tries, click {click}"}
                rows.append(row | named | {"clicks": 1, "seconds": 0.1})
    samples = pd.DataFrame(rows).assign(status=503, runtime="process", attempt=1)
    return samples.fillna({"correlation": ""})


def blocking_prediction() -> pd.DataFrame:
    return blocking.predict(calls=5, seconds=0.4)


def blocking_samples(
    *, blocking: float = 2.0, non_blocking: float = 0.4, late: float = 0.004, apart: float = 0.001
) -> pd.DataFrame:
    """Five calls to each, `apart` seconds from one another; the last is done after so many seconds.
    A witness sends twenty requests a second, each of which takes `late` seconds."""
    rows = []

    def ask(name: str, during: str, intended: float, seconds: float) -> None:
        rows.append({"endpoint": name, "during": during, "intended": intended, "latency": seconds})

    for endpoint, last, step in (
        (BLOCKING, blocking, blocking / 5),
        (NON_BLOCKING, non_blocking, 0.0),
    ):
        for call in range(5):
            done = last - step * (4 - call)
            ask(endpoint, endpoint, apart * call, done - apart * call)
        for number in range(round(20 * last)):
            ask(WITNESS, endpoint, number / 20, late)
    samples = pd.DataFrame(rows).assign(lag=0.0, status=200, error="", ok=True)
    return samples.assign(runtime="process", attempt=1)
