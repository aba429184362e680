"""Checks of a submitted readiness: the docstring of each is the reason why it is wrong."""

import asyncio
from collections.abc import Awaitable, Callable
from types import ModuleType

from microservices.kit.drain import Drain

Part = Callable[[], Awaitable[str | None]]


def part(reason: str | None) -> Part:
    async def need() -> str | None:
        return reason

    return need


async def silent() -> str | None:
    await asyncio.Event().wait()
    return None


async def raising() -> str | None:
    raise ConnectionError("no database")


USABLE = part(None)


async def ready(module: ModuleType) -> None:
    """It is not ready while every part of it is usable."""
    assert await module.unready(Drain(), []) is None
    assert await module.unready(Drain(), [USABLE, USABLE]) is None


async def draining(module: ModuleType) -> None:
    """It is ready while it drains."""
    drain = Drain()
    assert await module.unready(drain, [USABLE]) is None
    drain.start()
    assert await module.unready(drain, [USABLE])


async def reasons(module: ModuleType) -> None:
    """It is ready while a part returns a reason."""
    drain = Drain()
    assert await module.unready(drain, [USABLE]) is None
    assert await module.unready(drain, [part("no database")]) == "no database"


async def every_part(module: ModuleType) -> None:
    """It is ready while a part that is not the first returns a reason."""
    assert await module.unready(Drain(), [USABLE, USABLE, part("late")]) == "late"


async def first_reason(module: ModuleType) -> None:
    """Of several reasons it does not return that of the first part."""
    assert await module.unready(Drain(), [USABLE, part("one"), part("two")]) == "one"


async def again(module: ModuleType) -> None:
    """It remembers what it found: it is not ready again when the part is usable again."""
    assert await module.unready(Drain(), [part("no database")])
    assert await module.unready(Drain(), [USABLE]) is None


async def raises(module: ModuleType) -> None:
    """It raises, or is ready, when a part raises."""
    assert await module.unready(Drain(), [raising])


async def never_answers(module: ModuleType) -> None:
    """It waits for a part that never answers."""
    module.NEED_SECONDS = 0.05
    async with asyncio.timeout(1.5):
        assert await module.unready(Drain(), [silent])


CHECKS = (*(ready, draining, reasons, every_part, first_reason, again, raises, never_answers),)
