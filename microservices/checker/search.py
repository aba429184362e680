"""The walks: breadth first, so that the first way to a wrong state is a shortest one."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from microservices.checker.model import Model, World
from microservices.checker.properties import NO_CONTRADICTION, always, at_rest

End = tuple[tuple[str, str, str, str], ...]
"""How the orders ended, each with its coin: the states of order-service, payment-service and inventory-service."""


@dataclass
class Result:
    """What a walk found. `violations` maps each broken property to a shortest way there."""

    states: int = 0
    edges: int = 0
    ends: set[End] = field(default_factory=set)
    violations: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return what `python -m microservices.checker --json` prints."""
        return {
            "states": self.states,
            "ends": sorted("; ".join(map(_named, end)) for end in self.ends),
            "violations": [
                {"property": name, "trace": trace} for name, trace in self.violations.items()
            ],
            "seconds": round(self.seconds, 3),
        }


def _named(end: tuple[str, str, str, str]) -> str:
    coin, *states = end
    return f"{coin}: {'/'.join(states)}"


class _Walk:
    """One search from one beginning: the worlds that were met, and how each was first reached."""

    def __init__(self, model: Model, result: Result) -> None:
        self._model, self.result = model, result
        self._parents: dict[World, tuple[World, str] | None] = {}
        self._next: deque[World] = deque()
        self._found: set[str] = set()

    def run(self, first: World) -> None:
        self._meet(first, None)
        while self._next:
            self._expand(self._next.popleft())
        self.result.states += len(self._parents)

    def _meet(self, world: World, parent: tuple[World, str] | None) -> None:
        if world in self._parents:
            return
        self._parents[world] = parent
        self._next.append(world)
        for name in always(world):
            self._violated(name, world)

    def _expand(self, world: World) -> None:
        resting = True
        for move in self._model.moves(world):
            self.result.edges += 1
            changes = move.world != world  # a deadline without its cell leads nowhere, for ever
            resting &= not (move.progress and changes)
            if move.contradiction:
                self._violated(NO_CONTRADICTION, world, move.action)
            else:
                self._meet(move.world, (world, move.action))
        if resting:
            sagas = zip(world.coins, world.sagas, strict=True)
            self.result.ends.add(tuple((coin, *saga[:3]) for coin, saga in sagas))
            for name in at_rest(world):
                self._violated(name, world)

    def _violated(self, name: str, world: World, *last: str) -> None:
        if name in self._found:  # breadth first: a later way is no shorter
            return
        self._found.add(name)
        way = [*self._way_to(world), *last]
        known = self.result.violations.get(name)
        if known is None or len(way) < len(known):
            self.result.violations[name] = way

    def _way_to(self, world: World) -> list[str]:
        actions = []
        while parent := self._parents[world]:
            world, action = parent
            actions.append(action)
        return actions[::-1]


def check(model: Model) -> Result:
    """Walk every way that a model can go, and return the properties that some way breaks.

    Coins never change, so that worlds with different coins never meet: each mixture of coins is a walk of its own, and
    only the worlds of one are in memory.
    """
    result, began = Result(), time.perf_counter()
    for first in model.first_worlds():
        _Walk(model, result).run(first)
    result.seconds = time.perf_counter() - began
    return result
