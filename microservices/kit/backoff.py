"""The wait between two tries: longer each time, and different for each client."""

import random


def backoff(
    number: int,
    *,
    first: float = 0.05,
    longest: float = 1.0,
    spread: tuple[float, float] = (0.5, 1.0),
) -> float:
    """Return the seconds to wait after try `number`, from 1: `first`, doubled after each try, up to `longest`.

    The wait is multiplied by a random factor within `spread` (jitter), so that clients that failed
    together do not come back together.
    """
    doubled = first * 2.0 ** min(number - 1, 60)  # a wait without a last try would overflow
    return min(longest, doubled) * random.uniform(*spread)
