"""A mutant of interleavings: a checker in which a deadline never passes while an event is on its way."""

from collections.abc import Iterator

from microservices.checker.__main__ import main
from microservices.checker.model import Model, Move, World

moves = Model.moves


def moves_in_order(model: Model, world: World) -> Iterator[Move]:
    every = list(moves(model, world))
    deadlines = [move for move in every if move.action.startswith("deadline")]
    yield from [move for move in every if move not in deadlines] or deadlines


if __name__ == "__main__":
    Model.moves = moves_in_order  # type: ignore[method-assign, assignment]
    raise SystemExit(main())
