"""Waiting between two tries: longer each time, and never in step with others."""

import random

FIRST_SECONDS = 0.05
LONGEST_SECONDS = 1.0


def backoff(number: int) -> float:
    """Return how long to wait after try ``number``, from 1: doubling, up to half of it at random.

    The random part (jitter) keeps clients that failed together from coming back together.
    """
    longest = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** (number - 1))
    return random.uniform(longest / 2, longest)
