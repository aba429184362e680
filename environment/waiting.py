"""The one way to wait: for evidence, with a time limit, and no longer than what is awaited lives."""

import time
from collections.abc import Callable
from typing import TypeVar

Evidence = TypeVar("Evidence")

LOOK_SECONDS = 0.2
"""Between two looks whether waiting is pointless: to ask an engine that costs more than the evidence does."""


def wait_until(
    evidence: Callable[[], Evidence | None],
    *,
    timeout: float,
    every: float = 0.02,
    give_up: Callable[[], bool] = lambda: False,
) -> Evidence | None:
    """Asks for `evidence` until it is truthy, and returns it.

    Returns the last falsy answer when `timeout` seconds have passed, or soon after `give_up` says that waiting is
    pointless (the process has ended). The caller says what that means; it knows the state and the logs.
    """
    deadline = time.monotonic() + timeout
    look = time.monotonic() + LOOK_SECONDS
    hopeless = False
    while True:
        if time.monotonic() >= look:
            hopeless = give_up()  # asked first, so that what came just before the end still counts
            look = time.monotonic() + LOOK_SECONDS
        found = evidence()
        if found or hopeless or time.monotonic() >= deadline:
            return found
        time.sleep(every)
