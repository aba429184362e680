"""Queues in front of servers that each need the same time per request: exact means, and what a short run shows.

Constant service times make the theory exact without simulation: what arrives within one service time decides how many
requests are there one service time later (C. D. Crommelin, 1932; a closed form is in G. J. Franx, Operations Research
Letters 29, 2001). For one server it is the formula of Pollaczek and Khinchine, rho s / (2 (1 - rho)).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

RUNS = 500
"""Schedules that are drawn to see how far the mean of a short run may be from the long one's."""


def mean_wait(utilisation: float, *, service: float, servers: int = 1) -> float:
    """Return the mean seconds in the queue of Poisson arrivals in front of `servers` servers (M/D/c).

    With N requests there at one moment, max(N - c, 0) of them are still there one service time later,
    and with them all that arrived meanwhile: a Poisson number. The stationary distribution of N
    gives the mean queue, and Little's law the wait.

    Args:
        utilisation: From 0 to less than 1, of each server.
        service: Seconds that a request occupies a server.
        servers: c.
    """
    offered = utilisation * servers
    size = servers + math.ceil(offered + 30 / (1 - utilisation))
    number = np.arange(size)
    chances = np.exp(
        number * math.log(offered) - offered - np.cumsum(np.log(np.maximum(number, 1)))
    )
    moves = np.zeros((size, size))
    for there in range(size):
        left = max(there - servers, 0)
        moves[there, left:] = chances[: size - left]
    moves /= moves.sum(axis=1, keepdims=True)
    equations = np.vstack([moves.T - np.eye(size), np.ones(size)])
    stationary = np.linalg.lstsq(equations, np.append(np.zeros(size), 1.0), rcond=None)[0]
    waiting = float((np.maximum(number - servers, 0) * stationary).sum())
    return waiting / (offered / service)


def waits(arrivals: Array, *, service: float) -> Array:
    """Return the seconds that each request waits for one server, in the order of their arrivals.

    Lindley's recursion: a request waits for what its predecessor still needed when it came.
    """
    gaps = np.diff(arrivals, axis=-1, prepend=arrivals[..., :1])
    steps = np.where(np.arange(arrivals.shape[-1]) > 0, service - gaps, 0.0)
    walk: Array = np.cumsum(steps, axis=-1)
    lowest: Array = np.minimum.accumulate(walk, axis=-1)
    return walk - lowest


def range_of_means(
    rate: float, *, service: float, seconds: float, seed: int = 0
) -> tuple[float, float]:
    """Return the least and the greatest mean wait in a run of `seconds` that begins empty, of many Poisson schedules.

    A run is short, and its few longest queues decide its mean: the range is wide where the utilisation
    is high.
    """
    expected = rate * seconds
    number = math.ceil(expected + 6 * math.sqrt(expected)) + 1
    gaps = np.random.default_rng(seed).exponential(1 / rate, (RUNS, number))
    arrivals = np.cumsum(gaps, axis=1)
    waited = np.where(arrivals < seconds, waits(arrivals, service=service), np.nan)
    means = np.nanmean(waited, axis=1)
    return float(means.min()), float(means.max())
