"""The student's copies: made without verdicts, merged with new versions, and never losing what the student wrote."""

from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from environment.errors import LabError
from labs.running.copies import make_copies
from labs.running.outputs import read

NAME = "phase7_small.ipynb"


def lab(**sources: str) -> NotebookNode:
    """A lab with one code cell of each name; the last one has a stored verdict."""
    cells = [new_code_cell(source, id=name) for name, source in sources.items()]
    cells[-1].outputs = [new_output("stream", text="PASS: hop")]
    cells[-1].execution_count = 1
    return new_notebook(cells=[new_markdown_cell("# Title", id="title"), *cells])


@pytest.fixture
def labs(tmp_path: Path) -> Path:
    folder = tmp_path / "labs"
    folder.mkdir()
    nbformat.write(lab(one="1", two="2", three="3"), folder / NAME)
    return folder


@pytest.fixture
def mine(tmp_path: Path, labs: Path) -> Path:
    folder = tmp_path / "my-labs"
    assert make_copies(folder=folder, labs=labs) == []
    return folder


def sources(folder: Path) -> dict[str, str]:
    return {cell["id"]: cell.source for cell in read(folder / NAME).cells}


def edit(folder: Path, **changes: str) -> None:
    """Change cells of a notebook, or add them at its end."""
    notebook = read(folder / NAME)
    known = {cell["id"]: cell for cell in notebook.cells}
    for name, source in changes.items():
        if name in known:
            known[name].source = source
        else:
            notebook.cells.append(new_code_cell(source, id=name))
    nbformat.write(notebook, folder / NAME)


def again(mine: Path, labs: Path) -> list[str]:
    return make_copies(folder=mine, labs=labs)


def test_a_copy_begins_without_outputs_and_the_lab_keeps_its_own(mine: Path, labs: Path) -> None:
    assert not any(cell.get("outputs") for cell in read(mine / NAME).cells)
    assert read(labs / NAME).cells[-1].outputs


def test_a_copy_stays_as_it_is_while_the_lab_does(mine: Path, labs: Path) -> None:
    edit(mine, one="my own")
    before = (mine / NAME).read_bytes()
    assert again(mine, labs) == []
    assert (mine / NAME).read_bytes() == before


def test_new_cells_come_and_changed_ones_of_the_student_stay(mine: Path, labs: Path) -> None:
    edit(mine, one="my own")
    nbformat.write(lab(one="1 new", two="2 new", half="2.5", three="3"), labs / NAME)
    (said,) = again(mine, labs)
    assert sources(mine) == {
        "title": "# Title",
        "one": "my own",
        "two": "2 new",
        "half": "2.5",
        "three": "3",
    }
    assert said == (
        f"{NAME} has the new version of the lab. Your cell is as it was; the course has changed some of them too: one."
    )


def test_a_cell_that_the_student_added_stays_where_it_was(mine: Path, labs: Path) -> None:
    notebook = read(mine / NAME)
    notebook.cells.insert(2, new_code_cell("mine, after one", id="mine"))
    nbformat.write(notebook, mine / NAME)
    nbformat.write(lab(zero="0", one="1", two="2 new"), labs / NAME)
    again(mine, labs)
    assert list(sources(mine)) == ["title", "zero", "one", "mine", "two"]


def test_a_deleted_cell_stays_deleted_and_a_changed_one_outlives_the_courses(
    mine: Path, labs: Path
) -> None:
    notebook = read(mine / NAME)
    del notebook.cells[1]  # "one"
    nbformat.write(notebook, mine / NAME)
    edit(mine, three="my three")
    nbformat.write(lab(one="1", two="2 new"), labs / NAME)
    again(mine, labs)
    assert sources(mine) == {"title": "# Title", "two": "2 new", "three": "my three"}


def test_outputs_of_cells_that_are_the_same_stay(mine: Path, labs: Path) -> None:
    notebook = read(mine / NAME)
    for cell in notebook.cells[1:]:
        cell.outputs = [new_output("stream", text=f"ran {cell['id']}")]
    nbformat.write(notebook, mine / NAME)
    nbformat.write(lab(one="1", two="2 new", three="3"), labs / NAME)
    again(mine, labs)
    outputs = {cell["id"]: len(cell.outputs) for cell in read(mine / NAME).cells[1:]}
    assert outputs == {"one": 1, "two": 0, "three": 1}


def test_the_copy_as_it_was_is_kept(mine: Path, labs: Path) -> None:
    edit(mine, one="my own")
    nbformat.write(lab(one="1 new"), labs / NAME)
    again(mine, labs)
    (kept,) = (mine / ".before").iterdir()
    assert [cell.source for cell in read(kept).cells] == ["# Title", "my own", "2", "3"]


def test_merging_twice_changes_nothing_more(mine: Path, labs: Path) -> None:
    edit(mine, one="my own", extra="more")
    nbformat.write(lab(one="1 new", two="2 new"), labs / NAME)
    again(mine, labs)
    before = (mine / NAME).read_bytes()
    assert again(mine, labs) == []
    assert (mine / NAME).read_bytes() == before


def test_a_copy_that_cannot_be_read_is_left_alone(mine: Path, labs: Path) -> None:
    (mine / NAME).write_text("{ half")
    nbformat.write(lab(one="1 new"), labs / NAME)
    with pytest.raises(LabError, match=r"phase7_small.ipynb cannot be read .* move it away"):
        again(mine, labs)
    assert (mine / NAME).read_text() == "{ half"


def test_a_file_of_the_students_own_is_not_touched(tmp_path: Path, labs: Path) -> None:
    folder = tmp_path / "my-labs"
    folder.mkdir()
    (folder / NAME).write_text("mine")
    assert make_copies(folder=folder, labs=labs) == []
    assert (folder / NAME).read_text() == "mine"
