"""A computation: on the event loop, in a thread, or in a process.

A process of the pool imports this module, so it needs little more than the standard library.
"""

import asyncio
import multiprocessing
import os
import threading
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Literal, Self

from microservices.kit.workers import die_with_parent

Where = Literal["loop", "thread", "process"]

STEPS = 2_000
"""Work between two readings of the clock: well under a millisecond."""

THREADS = 8

stopping = threading.Event()
"""Set when the service stops: a thread cannot be killed, it has to end by itself."""


class Stopped(Exception):
    """The service stopped before the computation was done."""


def compute(seconds: float) -> float:
    """Keep a core busy for `seconds` of CPU time of this thread; return the seconds used.

    CPU time, and not wall-clock time: on a core that other programs use too it takes longer.

    Raises:
        Stopped: The service stopped first.
    """
    began = time.thread_time()
    while (used := time.thread_time() - began) < seconds:
        sum(range(STEPS))
        if stopping.is_set():
            raise Stopped
    return used


class Computation:
    """Runs `compute` in one of three places; a part of the service."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="compute")
        self._processes: ProcessPoolExecutor | None = None

    async def run(self, seconds: float, where: Where) -> float:
        """Compute for `seconds` of CPU time; return what was used.

        Raises:
            Stopped: The service stopped first, or a process of the pool was killed.
        """
        if where == "loop":
            return compute(seconds)
        pool: Executor = self._threads if where == "thread" else self._process_pool()
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, partial(compute, seconds))
        except BrokenProcessPool:
            self._processes = None  # the next call gets a new pool
            raise Stopped from None

    def _process_pool(self) -> ProcessPoolExecutor:
        if self._processes is None:
            # Made at the first use, since each process costs memory. Spawned, not forked: a fork
            # would inherit our sockets, and the locks that our threads hold.
            self._processes = ProcessPoolExecutor(
                os.cpu_count() or 1,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=die_with_parent,
            )
        return self._processes

    async def __aenter__(self) -> Self:
        stopping.clear()
        return self

    async def __aexit__(self, *_: object) -> None:
        stopping.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._processes is not None:
            self._processes.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.kill()
