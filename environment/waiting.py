"""The one way to wait: for evidence, with a time limit, and not for a program that has ended."""

import time
from collections.abc import Callable
from typing import TypeVar

Evidence = TypeVar("Evidence")

LOOK_SECONDS = 0.2
"""Between two checks whether waiting is pointless: with a Docker engine, that costs more than the evidence."""


def wait_until(
    evidence: Callable[[], Evidence | None],
    *,
    timeout: float,
    every: float = 0.02,
    give_up: Callable[[], bool] = lambda: False,
) -> Evidence | None:
    """Ask for `evidence` until it is truthy, and return it.

    Return the last falsy answer when `timeout` seconds have passed, or soon after `give_up` returns True because
    waiting is pointless (the process has ended). The caller explains that: it has the state and the logs.
    """
    deadline = time.monotonic() + timeout
    look = time.monotonic() + LOOK_SECONDS
    hopeless = False
    while True:
        if time.monotonic() >= look:
            hopeless = give_up()  # asked first, so that what came just before the end still counts
            look = time.monotonic() + LOOK_SECONDS
        answer = evidence()
        if answer or hopeless or time.monotonic() >= deadline:
            return answer
        time.sleep(every)
