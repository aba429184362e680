"""Synthetic samples of phase 2's computations and bystanders: what a judge sees, without a system."""

import pandas as pd

from labs.experiments.phase2 import (
    cpu_blocking,
    head_of_line_blocking,
    loop_delay,
    offloading,
    ratio_claim,
)

BEGAN = 1.7e9
UNLOADED = 0.004
COUNTS, REPLICAS = (0, 1, 2, 4), (1, 3)


def cpu_blocking_prediction() -> pd.DataFrame:
    return cpu_blocking.predict(COUNTS, replicas=REPLICAS, seconds=0.3, unloaded=UNLOADED, cores=2)


def cpu_blocking_samples(*, rounds: int = 2, f: float = 1.0, others: float = 0.01) -> pd.DataFrame:
    """Bystanders that wait for what is ahead of them, `f` times as long as on a free core."""
    cases = [(n, k) for n in REPLICAS for _ in range(rounds) for k in COUNTS]
    parts = [
        burst(trial, computations=k, replicas=n, seconds=0.3 * f, others=others)
        for trial, (n, k) in enumerate(cases)
    ]
    return pd.concat(parts, ignore_index=True).assign(runtime="process", attempt=1)


def burst(
    trial: int, *, computations: int, replicas: int, seconds: float, others: float
) -> pd.DataFrame:
    """Computations of that many seconds in turn on each replica, and a bystander behind them."""
    began = BEGAN + 10 * trial
    rows = [
        {
            "request": "bystander" if number == computations else "computation",
            "sent": began + 0.01 * (number == computations),
            "latency": UNLOADED + seconds * (number // replicas + (number < computations)),
            "replica": f"api-gateway-{number % replicas + 1}",
        }
        for number in range(computations + 1)
    ]
    table = pd.DataFrame(rows)
    computing = table["request"] == "computation"
    return table.assign(
        number=range(len(rows)),
        ended=table["sent"] + table["latency"],
        received=table["sent"] + 0.001,
        status=200,
        instance=table["replica"].where(computing, ""),
        cpu_seconds=computing * seconds,
        others=others,
        trial=trial,
        replicas=replicas,
        computations=computations,
    )


def ratio_claim_prediction() -> pd.DataFrame:
    return ratio_claim.predict((0, 1, 6, 18), seconds=0.1, unloaded=UNLOADED)


def ratio_claim_samples(*, seconds: float = 0.1) -> pd.DataFrame:
    """One bystander behind each number of computations, on one replica."""
    parts = [
        burst(trial, computations=k, replicas=1, seconds=seconds, others=0.01)
        for trial, k in enumerate((0, 1, 6, 18))
    ]
    return pd.concat(parts, ignore_index=True).assign(runtime="process", attempt=1)


def head_of_line_blocking_prediction() -> pd.DataFrame:
    return head_of_line_blocking.predict((1, 2, 3))


def head_of_line_blocking_samples(*, blocked: float = 1.0, others: float = 0.1) -> pd.DataFrame:
    """A stream in turn to n replicas, of which the first computes from 0.25 s to 0.95 s and keeps
    a share `blocked` of its bystanders waiting.
    """
    rows = []
    for n in (1, 2, 3):
        for number in range(48):
            at = number / 40
            during = 0.25 <= at < 0.95
            waits = during and number % n == 0 and (number // n) % 10 < 10 * blocked
            rows.append(
                {
                    "stream": "bystander",
                    "intended": BEGAN + at,
                    "lag": 0.0005,
                    "latency": UNLOADED + (0.95 - at if waits else 0),
                    "status": 200,
                    "ok": True,
                    "round": int(at > 0.25),
                    "began": BEGAN + 0.25 if at > 0.25 else float("nan"),
                    "ended": BEGAN + 0.95 if at > 0.25 else float("nan"),
                    "computed": 200.0 if at > 0.25 else float("nan"),
                    "others": others if at > 0.25 else float("nan"),
                    "replicas": n,
                }
            )
    return pd.DataFrame(rows).assign(runtime="process", attempt=1)


def offloading_prediction() -> pd.DataFrame:
    return offloading.predict((1, 2, 4), seconds=0.6, unloaded=UNLOADED)


def offloading_samples(
    *, thread: float = 0.01, overtake: bool = True, others: float = 0.05
) -> pd.DataFrame:
    """Bystanders wait for the loop's computations, `thread` seconds behind each of a thread's, and
    for none behind a process's. Those of a thread are last unless they `overtake`.
    """
    parts = []
    for trial, (k, where) in enumerate(
        (k, where) for k in (1, 2, 4) for where in ("loop", "thread", "process")
    ):
        last = where == "loop" or (where == "thread" and not overtake)
        delay = {"loop": 0.6 * k, "thread": thread * k, "process": 0.002}[where]
        rows = burst(trial, computations=k, replicas=1, seconds=0.6, others=others * 0.6 * k)
        computing = rows["request"] == "computation"
        asked = pd.concat([rows[~computing]] * 5, ignore_index=True)
        asked["sent"] += 0.02 * asked.index
        asked["latency"] = 0.6 * k - 0.01 - 0.02 * asked.index + 2 * UNLOADED if last else delay
        asked["ended"] = asked["sent"] + asked["latency"]
        parts.append(
            pd.concat([rows[computing], asked]).assign(trial=trial, where=where, computations=k)
        )
    return pd.concat(parts, ignore_index=True).assign(runtime="process", attempt=1)


def loop_delay_prediction() -> pd.DataFrame:
    return loop_delay.predict(((1, 1), (3, 1), (3, 3)), seconds=1, cores=2)


def loop_delay_samples(
    *, spike: float = 0.95, others: float = 0.01, took: float | None = None
) -> pd.DataFrame:
    """Series of ten samples per second; the first replicas compute, and show one spike each."""
    rows = [
        {
            "replicas": n,
            "computations": k,
            "replica": f"api-gateway-{replica + 1}",
            "time": BEGAN + number / 10 + (spike if number >= 0 else 0),
            "delay": spike if number == 0 and replica < k else 0.001,
            "computed": int(replica < k),
            "took": (spike if took is None else took) * (replica < k),
        }
        for n, k in ((1, 1), (3, 1), (3, 3))
        for replica in range(n)
        for number in range(-4, 4)
    ]
    return pd.DataFrame(rows).assign(
        began=BEGAN,
        ended=BEGAN + spike,
        others=others,
        answered=True,
        runtime="process",
        attempt=1,
    )
