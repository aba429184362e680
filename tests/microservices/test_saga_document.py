"""The handbook's tables and pictures of the saga: made from the tables of the services, and current."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from microservices.checker.model import COINS, ORCHESTRATION, PARTICIPANTS, TABLES, Model
from microservices.checker.mutants import MUTANTS
from microservices.checker.search import check
from microservices.kit.saga import CONTRADICTION, Step, Table
from microservices.saga_chart import FAILS, arrows, states, svg
from microservices.saga_document import (
    BLOCKS,
    FIGURES,
    FIRST,
    FIRST_COURSE,
    SHARES,
    SHOWN,
    figures,
    filled,
    marked,
    write,
)
from tests.microservices.conftest import OwnTable

HANDBOOK = Path(__file__).parents[2] / "handbook"
CHAPTERS = sorted(path for path in HANDBOOK.glob("*.md") if marked(path.read_text()))
OUT_OF_DATE = "out of date: python -m microservices.saga_document handbook"
SAGA, CHECKING = HANDBOOK / "phase5_saga.md", HANDBOOK / "phase5_checking_designs.md"


def rows(block: str) -> list[list[str]]:
    """Return the body of the first table of a block."""
    lines = [line for line in BLOCKS[block]().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_shows_what_the_tables_hold(chapter: Path) -> None:
    assert filled(chapter.read_text()) == chapter.read_text(), OUT_OF_DATE


def test_the_pictures_show_what_the_tables_hold() -> None:
    found = {path.name: path.read_text() for path in (HANDBOOK / FIGURES).glob("saga_*.svg")}
    assert found == figures(), OUT_OF_DATE


def test_everything_that_is_made_is_shown() -> None:
    texts = [path.read_text() for path in CHAPTERS]
    assert {name for text in texts for name in marked(text)} == set(BLOCKS)
    for name in figures():
        assert any(f"]({FIGURES}/{name})" in text for text in texts)


def test_a_mark_without_an_end_or_a_maker_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing is made as 'table shipping'"):
        filled("<!-- made: table shipping -->\n<!-- end -->\n")
    with pytest.raises(ValueError, match="has no end"):
        filled("<!-- made: ends -->\n<!-- made: walks -->\n<!-- end -->\n")


def test_a_chapter_is_made_anew_and_then_stays(tmp_path: Path) -> None:
    chapter = tmp_path / "chapter.md"
    chapter.write_text("before\n\n<!-- made: properties -->\nformer\n<!-- end -->\n\nafter\n")
    write(tmp_path)
    first = chapter.read_text()
    assert "former" not in first
    assert "- every saga ends\n" in first
    assert first.startswith("before\n")
    assert first.endswith("after\n")
    write(tmp_path)
    assert chapter.read_text() == first
    assert {path.name for path in (tmp_path / FIGURES).iterdir()} == set(figures())


@pytest.mark.parametrize("name", PARTICIPANTS)
def test_each_cell_of_a_table_is_shown_once(name: str) -> None:
    table = TABLES[name]
    shown = [cell for row in rows(f"table {name}") for cell in row[1:] if cell]
    assert len(shown) == len(table)
    assert shown.count("*contradiction*") == sum(step is CONTRADICTION for step in table.values())
    assert sum(FAILS in cell for cell in shown) == sum(
        step.if_fails is not None for step in table.values()
    )


@pytest.mark.parametrize("name", PARTICIPANTS)
def test_a_picture_names_each_state_once_and_each_event(name: str) -> None:
    table = TABLES[name]
    picture = ElementTree.fromstring(svg(table, first=FIRST[name], title="a title"))
    texts = [node.text or "" for node in picture.iter("{http://www.w3.org/2000/svg}text")]
    for state in states(table, FIRST[name]):
        assert texts.count(state) == 1
    joined = " ".join(texts)
    for (_, event), step in table.items():
        assert step is CONTRADICTION or event in joined
        assert all(each in joined for each in step.publishes)


@pytest.mark.parametrize(
    ("block", "cell"),
    [
        ("table payment", ("payment", ("none", "OrderCancelled"))),
        ("ends", ("order", ("pending", "InventoryReserved"))),
        ("given up", ("payment", ("charged", "OrderCancelled"))),
        ("counter-example", ("inventory", ("none", "OrderCancelled"))),
        ("cells", ("payment", ("charged", "OrderCancelled"))),
    ],
)
def test_a_changed_cell_changes_what_is_made(
    block: str, cell: tuple[str, tuple[str, str]], tables: Mapping[str, OwnTable]
) -> None:
    name, key = cell
    before, pictures = BLOCKS[block](), figures()
    del tables[name][key]
    assert BLOCKS[block]() != before
    assert figures()[f"saga_{name}.svg"] != pictures[f"saga_{name}.svg"]


LOOP: Table = {("none", "Go"): Step("none"), ("lost", "Go"): Step("none", ("A<&>B",))}
DRAWN: list[tuple[Table, str]] = [
    *((mutant.model().tables[name], FIRST[name]) for mutant in MUTANTS.values() for name in FIRST),
    (ORCHESTRATION.tables["order"], ORCHESTRATION.first),
    (LOOP, "none"),
    ({}, "none"),
]
"""Tables of wrong designs, one that is no tree, one with a loop and a state that nothing reaches, and an empty one."""


def test_any_table_is_drawn_with_all_its_arrows() -> None:
    for table, first in DRAWN:
        picture = ElementTree.fromstring(svg(table, first=first, title="<any>"))
        paths = picture.findall("{http://www.w3.org/2000/svg}path")
        assert len(paths) == len(arrows(table))
        boxes = picture.findall("{http://www.w3.org/2000/svg}rect")
        assert len(boxes) == 1 + len(states(table, first))


def test_one_order_has_nine_ends_of_six_kinds() -> None:
    ends = rows("ends")
    assert (len(ends), len({tuple(end[1:4]) for end in ends})) == (9, 6)
    assert [end[4] for end in ends].count("") == len(COINS)
    assert sum(end[1:4] == ["cancelled", "barred", "barred"] for end in ends) == len(COINS)


def test_a_repeated_delivery_adds_the_same_number_of_states() -> None:
    sizes = [check(Model(duplicates=number)).states for number in range(4)]
    assert [later - earlier for earlier, later in pairwise(sizes)] == [143] * 3
    assert sizes[0] - 143 == 15
    assert "adds\n143 states" in CHECKING.read_text()


def test_the_prose_on_counter_examples_is_right() -> None:
    found = {name: check(mutant.model()).violations for name, mutant in MUTANTS.items()}
    ways = {name: min(each.values(), key=len) for name, each in found.items() if each}
    with_deadline = [name for name, way in ways.items() if "deadline" in way]
    assert len(with_deadline) > len(ways) / 2
    assert max(map(len, ways.values())) == 11
    assert sorted(map(len, ways.values()))[:2] == [2, len(ways["charge-each-delivery"])]
    assert len(ways["charge-each-delivery"]) == 3
    assert (len(ways), len(MUTANTS) - len(ways)) == (15, 2)


def test_the_right_design_leaves_the_shown_way_at_the_fourth_action() -> None:
    shown = rows("counter-example")
    assert [row[2] == row[3] for row in shown[:5]] == [True, True, True, False, False]
    assert sum("not possible" in row[3] for row in shown) == 2
    assert SHOWN in CHECKING.read_text()


def test_three_cells_left_out_sell_nothing_and_break_nothing() -> None:
    without_a_sale = [row for row in rows("cells") if row[3] == "no"]
    assert len(without_a_sale) == 3
    assert {row[1] for row in without_a_sale} == {"none"}


def test_no_order_of_the_first_course_is_completed() -> None:
    shown = rows("first course")
    assert [row[4] for row in shown] == ["56", "30", "14"]
    assert sum(SHARES.values()) == pytest.approx(1)
    assert [row[1] for row in shown].count("pending") == 2
    assert all("completed" not in row for row in shown)
    readings = {event for table in FIRST_COURSE.values() for _, event in table}
    assert readings == {"OrderCreated", "PaymentCompleted", "PaymentFailed"}


def test_what_is_made_is_the_same_every_time() -> None:
    for name in set(BLOCKS) - {"walks"}:
        assert BLOCKS[name]() == BLOCKS[name]()
