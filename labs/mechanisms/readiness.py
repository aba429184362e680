"""Whether a replica's `/ready` is true: each of its answers is compared with what a request receives.

This judges what a student writes in lab 0. The lab itself has no experiment about readiness.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pandas as pd

from environment.errors import NotReady
from environment.waiting import wait_until
from labs.experiments.phase1.metrics import read_metrics
from labs.judging import (
    SETTLED,
    Case,
    Finding,
    doubt,
    each_attempt,
    every_attempt,
    failure,
    verdict,
)

if TYPE_CHECKING:
    from environment import Environment
    from labs.verdicts import Verdict

HEALTHY, AWAY, BACK, STOPPING = "healthy", "without its database", "database back", "shutting down"
"""The parts of the measurement, in their order."""

PROBES = 5
"""Probes in each part."""

ENOUGH = 3
"""Probes that a replica must have answered while it shut down."""

SLOW_ANSWER = 1.5
"""Seconds after which a load balancer counts a probe as failed."""

WRONG = {
    HEALTHY: "it was not ready, although it took requests",
    AWAY: "it was ready, although it could take no request",
    BACK: "it was not ready again when its database was back",
    STOPPING: "it was ready, although it closed every connection",
}
"""The reason of a failure in each part."""

JUDGED = "a replica is ready exactly when it takes requests: not without its database, and not while it shuts down"


def measure(env: Environment, *, service: str = "payment-service") -> pd.DataFrame:
    """Return one row per probe of a replica: healthy, without its database, with it again, and shutting down.

    A payment begins before the shutdown, so that the replica listens until the payment ends. Columns: `part`, `ready`
    (status of `/ready`), `works` (that of a request to its database; 0 while it shuts down), `closing` (whether its
    responses close their connections, as they do while it shuts down), `seconds` of the probe, `attempt`.
    """
    url = env[service].replicas[0].url
    with httpx.Client(base_url=url, timeout=10) as client:
        rows = [_probed(client, HEALTHY) for _ in range(PROBES)]
        ready = True
        try:
            with env[service].without_database():
                rows += [_probed(client, AWAY) for _ in range(PROBES)]
        except NotReady:  # the block's end waits for what is measured here
            ready = False
        rows += [_probed(client, BACK) for _ in range(PROBES)]
    if not ready:  # nor would it be after a shutdown
        return pd.DataFrame(rows).assign(attempt=1)
    with ThreadPoolExecutor(2) as pool:
        payment = pool.submit(httpx.post, f"{url}/pay", json={"amount": 1}, timeout=30)
        wait_until(lambda: _in_flight(url) > 1, timeout=10)
        probes = pool.submit(lambda: list(_until_closed(url, payment)))
        with env[service].stopped():
            rows += probes.result()
    return pd.DataFrame(rows).assign(attempt=1)


def _probed(client: httpx.Client, part: str) -> dict[str, object]:
    row = _asked(client, part)
    return row | {"works": client.get("/ledger").status_code}


def _asked(client: httpx.Client, part: str) -> dict[str, object]:
    began = time.monotonic()
    response = client.get("/ready")
    return {
        "part": part,
        "ready": response.status_code,
        "works": 0,
        "closing": response.headers.get("connection") == "close",
        "seconds": time.monotonic() - began,
    }


def _in_flight(url: str) -> float:
    """Return how many requests a replica answers now, with the request of this function."""
    with httpx.Client(timeout=10) as client:
        samples = read_metrics(client, url)
    return next(each.value for each in samples if each.name == "http_requests_in_flight")


def _until_closed(url: str, payment: Future[httpx.Response]) -> Iterator[dict[str, object]]:
    """Yield a row per probe while the payment is under way, which is as long as the replica listens."""
    with httpx.Client(base_url=url, timeout=10) as client:
        while not payment.done():
            try:
                yield _asked(client, STOPPING)
            except httpx.TransportError:
                return
            time.sleep(0.02)  # the rate of the probes


def judge(samples: pd.DataFrame) -> Verdict:
    """Return an exact verdict, part by part.

    A probe counts in the shutdown when the replica closed its connection: it had begun to shut down by then. Policy
    `every_attempt`: a probe that is wrong once is wrong.
    """
    attempts = list(each_attempt(samples))
    cases = [Case(part, [_finding(part, each) for each in attempts]) for part in WRONG]
    return verdict(__name__, JUDGED, cases, every_attempt)


def _finding(part: str, attempt: pd.DataFrame) -> Finding:
    rows = attempt[attempt["part"] == part]
    if part == STOPPING:
        rows = rows[rows["closing"]]
        if len(rows) < ENOUGH:
            return doubt("too few probes while it shut down")
    elif part == AWAY and (rows["works"] < 500).any():
        return doubt("the fault never hit: a request was answered")
    elif part != AWAY and (rows["works"] >= 500).any():
        return doubt("a request failed, and no fault was there")
    expected = 200 if part in (HEALTHY, BACK) else 503
    if not (rows["ready"] == expected).all():
        return failure(WRONG[part])
    if (rows["seconds"] > SLOW_ANSWER).any():
        return doubt("a probe took longer than a load balancer waits")
    return SETTLED
