"""Payments through the gateway, each with what payment-service had counted by then."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import httpx
import pandas as pd

from labs.experiments.phase1.metrics import answered, read_metrics
from labs.load.open_loop import Load, Stream

PAYMENT = {"amount": 19.99}

HEADER = "X-Correlation-Id"
"""The header by which a client names its request in the logs of all services."""

BURST = 0.1
"""Seconds within which requests are sent that come together: much shorter than a slow payment."""


class Payments:
    """A client that pays through the gateway, and counts at payment-service.

    Its rows have `part`, `correlation` (the request's id), `sent` and `ended` (unix seconds), `status`, `calls` (that
    payment-service has answered since the client was made) and `state` (the breaker's, as the gateway reports it).
    """

    def __init__(self, client: httpx.Client, gateway: str, payment: str) -> None:
        self._client, self._gateway, self._payment = client, gateway, payment
        self._before = answered(client, payment)

    def one(self, part: str) -> dict[str, Any]:
        """Send one payment, and return its row."""
        correlation, sent = str(uuid4()), time.time()
        headers = {HEADER: correlation}
        response = self._client.post(f"{self._gateway}/api/pay", json=PAYMENT, headers=headers)
        row = {
            "part": part,
            "correlation": correlation,
            "sent": sent,
            "ended": time.time(),
            "status": response.status_code,
        }
        return row | {"calls": self._calls(), "state": self._state()}

    def together(self, part: str, number: int) -> list[dict[str, Any]]:
        """Send this many payments within `BURST` seconds, and return their rows.

        `calls` is the count after all of them, `state` the one while they are under way.
        """
        url, mark = f"{self._gateway}/api/pay", uuid4()
        headers = {HEADER: f"{mark}-{{number}}"}
        pay = Stream("pay", url, rate=number / BURST, method="POST", body=PAYMENT, headers=headers)
        with Load(pay, seconds=BURST) as load:
            load.until(1.5 * BURST)
            state = self._state()
        samples = load.samples
        rows = pd.DataFrame(
            {
                "part": part,
                "correlation": [f"{mark}-{index}" for index in range(len(samples))],
                "sent": samples["intended"] + samples["lag"],
                "ended": samples["intended"] + samples["latency"],
                "status": samples["status"],
                "calls": self._calls(),
                "state": state,
            }
        )
        return rows.to_dict("records")  # type: ignore[return-value]  # its keys are the texts above

    def _calls(self) -> int:
        return answered(self._client, self._payment) - self._before

    def _state(self) -> str:
        samples = read_metrics(self._client, self._gateway)
        states = [each for each in samples if each.name == "circuit_breaker_state"]
        return next(each.labels["state"] for each in states if each.value)
