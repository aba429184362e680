"""What must hold: some things always, others once nothing is left to do."""

from __future__ import annotations

from collections.abc import Iterator

from microservices.checker.model import World

ONE_CHARGE = "an order is charged at most once"
NO_GIFT = "no refund exceeds the charge"
ONE_END = "an order ends one way"
SHELF = "as much is reserved as orders hold, and no more than there is"
NO_CONTRADICTION = "no event arrives in a state that excludes it"
ENDED = "every saga ends"
MONEY = "a completed order is paid, and a cancelled one is not"
STOCK = "a completed order's items are sold, and a cancelled one's are back"

ALL = (ONE_CHARGE, NO_GIFT, ONE_END, SHELF, NO_CONTRADICTION, ENDED, MONEY, STOCK)


def always(world: World) -> Iterator[str]:
    """Yield the properties that this world breaks, whatever comes next."""
    for saga in world.sagas:
        if saga.charges > 1:
            yield ONE_CHARGE
        if saga.refunds > saga.charges:
            yield NO_GIFT
        if len(saga.ends) > 1:
            yield ONE_END
    held = sum(saga.inventory == "reserved" for saga in world.sagas)
    if not held == world.reserved <= world.on_hand:
        yield SHELF


def at_rest(world: World) -> Iterator[str]:
    """Yield the properties that this world breaks if nothing is left to do in it."""
    for saga in world.sagas:
        if saga.order not in ("completed", "cancelled"):
            yield ENDED
            continue
        completed = saga.order == "completed"
        if saga.charges - saga.refunds != completed:
            yield MONEY
        if (saga.inventory == "sold") != completed or saga.inventory == "reserved":
            yield STOCK
