"""Every order in which callers can read a counter, add one and write it back: which counts are possible.

A call is two steps: it reads the number in the store, and later writes that number plus one. The search visits every
state that any order of these steps can reach, so it is a proof for the few calls that it can visit, and no simulation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import pandas as pd

T = TypeVar("T")


class _State(NamedTuple):
    """The number in the store, what each caller holds (None between its calls), and the calls it may still begin.

    A queue that all callers share is a `left` of one number; callers with calls of their own have one number each.
    """

    stored: int
    held: tuple[int | None, ...]
    left: tuple[int, ...]


def possible_counts(calls: int, *, callers: int, shared: bool = True) -> pd.DataFrame:
    """Return every count that `calls` calls can leave, each with a shortest schedule that leaves it.

    Args:
        calls: All of them; a few, since the search grows quickly.
        callers: Each has one call under way at a time.
        shared: Whether callers take their next call from one queue. Else each makes an equal part of the calls.

    Returns:
        Columns: `counted`, `schedule` (text: A's read of 0 is `A0`, its write of 1 is `A=1`).
    """
    each = (calls,) if shared else (calls // callers,) * callers
    start = _State(0, (None,) * callers, each)
    schedules, states = {start: ""}, deque([start])
    found: dict[int, str] = {}
    while states:
        state = states.popleft()
        steps = list(_steps(state))
        if not steps:
            found.setdefault(state.stored, schedules[state].strip())
        for step, after in steps:
            if after not in schedules:
                schedules[after] = f"{schedules[state]} {step}"
                states.append(after)
    return pd.DataFrame(sorted(found.items()), columns=["counted", "schedule"])


def _steps(state: _State) -> Iterator[tuple[str, _State]]:
    """Yield each step that some caller can take next, and the state after it."""
    for caller, held in enumerate(state.held):
        name = chr(ord("A") + caller)
        if held is not None:
            after = _put(state.held, caller, None)
            yield f"{name}={held + 1}", _State(held + 1, after, state.left)
        elif state.left[queue := caller % len(state.left)]:
            left = _put(state.left, queue, state.left[queue] - 1)
            after = _put(state.held, caller, state.stored)
            yield f"{name}{state.stored}", _State(state.stored, after, left)


def _put(values: tuple[T, ...], at: int, value: T) -> tuple[T, ...]:
    return (*values[:at], value, *values[at + 1 :])
