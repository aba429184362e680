"""Following a trace: the states of one order after each action of a given sequence, in a model of one's choice.

A trace that shows a wrong design may be followed in the real model too. An action that is not possible there (an event
to publish that was never committed) changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from microservices.checker.model import COINS, Model


class Followed(NamedTuple):
    """One action: whether it was possible, and the states of the participants after it."""

    action: str
    possible: bool
    order: str
    payment: str
    inventory: str


def follow(model: Model, actions: Iterable[str], *, coin: str = COINS[0]) -> list[Followed]:
    """Take these actions in a model of one order, whose work ends as `coin` decides."""
    world = next(each for each in model.first_worlds() if each.coins == (coin,))
    steps = []
    for action in actions:
        moves = {move.action: move for move in model.moves(world) if not move.contradiction}
        if action in moves:
            world = moves[action].world
        (saga,) = world.sagas
        steps.append(Followed(action, action in moves, *saga[:3]))
    return steps
