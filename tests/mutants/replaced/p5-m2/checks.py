"""Checks of a submitted watermark: the docstring of each is the reason why it is wrong."""

from random import Random
from types import ModuleType
from typing import Any

LONG = 60.0
"""Seconds of silence that are more than enough."""


def positions(module: ModuleType, *rows: tuple[float | None, bool, float]) -> list[Any]:
    return [module.Position(*row) for row in rows]


def common(module: ModuleType, *rows: tuple[float | None, bool, float]) -> float | None:
    """Return the answer for partitions in any order, which must be one."""
    given = positions(module, *rows)
    before, answers = list(given), {module.newest_common(given)}
    answers |= {module.newest_common(given[::-1]), module.newest_common(tuple(given))}
    assert given == before
    (answer,) = answers
    assert answer is None or isinstance(answer, float)
    return answer


def slowest(module: ModuleType) -> None:
    """While partitions are active, it does not return the newest time of the one that is furthest behind."""
    assert common(module, (30.0, True, 0.0), (10.0, False, 0.1), (20.0, True, 0.0)) == 10.0


def silent_and_read(module: ModuleType) -> None:
    """A partition that is silent and fully read holds the others back."""
    assert common(module, (30.0, True, 0.0), (10.0, False, LONG), (20.0, False, 0.5)) == 20.0


def silent_and_empty(module: ModuleType) -> None:
    """A partition that never had an event holds the others back."""
    assert common(module, (30.0, True, 0.0), (None, False, LONG)) == 30.0


def held_up(module: ModuleType) -> None:
    """A partition with unread messages is passed over, because its reader was silent for long."""
    assert common(module, (30.0, False, 0.1), (10.0, True, LONG)) == 10.0


def unread(module: ModuleType) -> None:
    """A time is returned while a partition has messages of which none was read: it may be older."""
    assert common(module, (30.0, False, 0.1), (None, True, LONG), (20.0, True, 0.0)) is None


def all_silent(module: ModuleType) -> None:
    """When every partition is silent and fully read, it does not return the time of the newest event."""
    rows = [(10.0, False, LONG), (30.0, False, LONG), (20.0, False, LONG), (None, False, LONG)]
    assert common(module, *rows) == 30.0


def nothing_yet(module: ModuleType) -> None:
    """Without any event, or without any partition, it returns something else than `None`."""
    assert common(module) is None
    assert common(module, (None, False, LONG)) is None


def epoch(module: ModuleType) -> None:
    """An event at the time 0 is taken for no event."""
    assert common(module, (0.0, True, 0.0), (5.0, True, 0.0)) == 0.0
    assert common(module, (0.0, False, LONG)) == 0.0


def at_random(module: ModuleType) -> None:
    """For partitions chosen at random it returns another time than the definition."""
    random = Random(7)
    for _ in range(500):
        rows = [
            (random.choice([None, float(random.randrange(9))]), random.random() < 0.3, silent)
            for silent in random.choices([0.0, 1.9, 2.1, LONG], k=random.randrange(6))
        ]
        assert common(module, *rows) == expected(module, *rows)


def expected(module: ModuleType, *rows: tuple[float | None, bool, float]) -> float | None:
    """Return what the lab's text defines, one partition after the other."""
    least, most, waits = None, None, False
    for newest, is_unread, silent in rows:
        if newest is not None:
            most = newest if most is None else max(most, newest)
        if is_unread or silent < module.IDLE_SECONDS:
            if newest is None:
                waits = True
            else:
                least = newest if least is None else min(least, newest)
    return None if waits else most if least is None else least


CHECKS = (
    *(slowest, silent_and_read, silent_and_empty, held_up, unread, all_silent, nothing_yet),
    *(epoch, at_random),
)
