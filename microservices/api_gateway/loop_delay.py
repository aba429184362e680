"""The delay of the event loop: how much later than planned a timer fires.

One thread answers all requests in turns. Code that computes or sleeps in it makes every request wait,
and the delay shows for how long: a quiet loop is late by a millisecond, a blocked one by the whole
time that it is blocked.
"""

import asyncio
import logging
import time
from collections import deque
from typing import Self

from prometheus_client import CollectorRegistry, Histogram

log = logging.getLogger(__name__)

PERIOD_SECONDS = 0.1
KEPT = 600
"""Samples that are kept: those of the last minute, or of a longer time when the loop was late."""

LATE_SECONDS = 0.1
"""A delay of this length or more is logged."""


class LoopDelay:
    """Measures the delay of the event loop it is started on; a part of the service.

    `series` holds pairs of the time (Unix seconds) and the delay then (seconds).
    """

    def __init__(self) -> None:
        self.series: deque[tuple[float, float]] = deque(maxlen=KEPT)
        self._histogram: Histogram | None = None
        self._task: asyncio.Task[None] | None = None

    def observe(self, registry: CollectorRegistry) -> None:
        """Register the delays for `/metrics`."""
        self._histogram = Histogram(
            "event_loop_delay_seconds",
            "How much later than planned a timer fired",
            buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60),
            registry=registry,
        )

    def record(self, delay: float) -> None:
        """Keep one sample."""
        self.series.append((time.time(), delay))
        if self._histogram is not None:
            self._histogram.observe(delay)
        if delay >= LATE_SECONDS:
            log.warning("Event loop delayed by %.3f s", delay, extra={"seconds": round(delay, 4)})

    async def _measure(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            planned = loop.time() + PERIOD_SECONDS
            await asyncio.sleep(PERIOD_SECONDS)
            self.record(max(0.0, loop.time() - planned))

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._measure())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task:
            self._task.cancel()
