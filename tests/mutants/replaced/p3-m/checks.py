"""Checks of a submitted `choose`, which is arithmetic: the docstring of each is the reason why it is wrong.

No product is near a whole number, so that it does not matter in which order a submission multiplies and divides.
"""

from types import ModuleType


def choices(module: ModuleType, *intervals: tuple[int, float], window: int = 1) -> list[int]:
    """Return what is chosen after each interval; a utilisation is given in multiples of the target."""
    seen = [module.Interval(replicas, ratio * module.TARGET) for replicas, ratio in intervals]
    return [module.choose(tuple(seen[: n + 1]), window) for n in range(len(seen))]


def alone(module: ModuleType, *intervals: tuple[int, float]) -> list[int]:
    """Return what is chosen after each interval if it is the first one."""
    return [choices(module, interval)[0] for interval in intervals]


def rounds_up(module: ModuleType) -> None:
    """It does not choose replicas x utilisation / target, rounded up."""
    assert alone(module, (1, 1.3), (1, 2.2), (2, 2.1), (3, 1.5), (4, 0.3)) == [2, 3, 5, 5, 2]


def tolerates(module: ModuleType) -> None:
    """It changes the number although the utilisation is within a tenth of the target."""
    assert alone(module, (3, 1.05), (3, 0.95), (1, 1.09), (7, 1.06)) == [3, 3, 1, 7]


def reacts_beyond_the_tolerance(module: ModuleType) -> None:
    """It does not change the number although the utilisation is more than a tenth away from the target."""
    assert alone(module, (3, 1.15), (8, 0.85), (4, 1.12)) == [4, 7, 5]


def keeps_the_least(module: ModuleType) -> None:
    """Without load it does not choose the least number of replicas."""
    assert alone(module, (1, 0.0), (3, 0.0), (2, 0.01)) == [module.LEAST] * 3


def keeps_the_most(module: ModuleType) -> None:
    """It chooses more replicas than there may be, or fewer although they are needed."""
    assert alone(module, (8, 2.3), (6, 1.7), (4, 2.4)) == [module.MOST] * 3


def scales_up_at_once(module: ModuleType) -> None:
    """With a window it does not scale up at once when the load rises."""
    assert choices(module, (1, 0.5), (1, 0.3), (1, 2.3), window=3) == [1, 1, 3]


def scales_down_late(module: ModuleType) -> None:
    """With a window it scales down before no interval of the window required more."""
    swings = ((1, 2.3), (3, 0.3), (3, 1.3), (4, 0.2))
    assert choices(module, *swings, window=2) == [3, 3, 4, 4]


def scales_down_in_the_end(module: ModuleType) -> None:
    """It does not scale down although no interval of the window required more."""
    falls = ((1, 2.3), (3, 0.3), (3, 0.3), (1, 0.3))
    assert choices(module, *falls, window=2) == [3, 3, 1, 1]
    assert choices(module, *falls, window=1) == [3, 1, 1, 1]


def judges_each_interval_by_its_own_replicas(module: ModuleType) -> None:
    """It does not multiply the utilisation of an interval by the replicas that this interval had."""
    assert choices(module, (1, 1.8), (2, 0.9), (2, 0.95), window=3) == [2, 2, 2]
    assert choices(module, (2, 1.8), (6, 0.6), window=2) == [4, 4]


CHECKS = (
    *(rounds_up, tolerates, reacts_beyond_the_tolerance, keeps_the_least, keeps_the_most),
    *(scales_up_at_once, judges_each_interval_by_its_own_replicas),
    *(scales_down_late, scales_down_in_the_end),
)
