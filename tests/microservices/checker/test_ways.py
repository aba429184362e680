"""The chapter on checking designs counts the ways from the beginning to rest; here they are counted anew."""

from pathlib import Path

import pytest

from microservices.checker.model import Model, World

CHAPTER = Path(__file__).parents[3] / "handbook" / "phase5_checking_designs.md"


def count_ways(model: Model) -> tuple[int, int]:
    """Return how many ways lead to a world at rest, and how many worlds they pass."""
    ways: dict[World, int] = {}

    def of(world: World) -> int:
        if world not in ways:
            after = [move.world for move in model.moves(world) if move.world != world]
            ways[world] = sum(of(each) for each in after) if after else 1
        return ways[world]

    return sum(of(first) for first in model.first_worlds()), len(ways)


@pytest.mark.parametrize(
    ("orders", "ways", "worlds"), [(1, 4_801, 158), (2, 7_537_834_766_649, 18_455)]
)
def test_the_chapter_prints_the_number_of_ways(orders: int, ways: int, worlds: int) -> None:
    assert count_ways(Model(orders=orders)) == (ways, worlds)
    sentence = " ".join(CHAPTER.read_text().split())
    assert f"{ways:,} ways" in sentence
    assert f"{worlds:,} worlds" in sentence
