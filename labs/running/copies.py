"""The student's own copies of the labs, in `my-labs/`: `lab open` makes them, and merges new versions into them.

A copy begins without outputs and stored verdicts. Beside it, in `.base/`, lies the version that it was made of. When
the course has changed since, the cells that the student has not touched are replaced, and all others stay: what the
student wrote is never changed, and the copy as it was before is kept in `.before/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from environment.errors import LabError
from labs.machine import ROOT
from labs.records import write_whole
from labs.running.notebooks import FOLDER
from labs.running.outputs import KERNEL, read

MY_LABS = ROOT / "my-labs"

Cells = Mapping[str, NotebookNode]


def make_copies(*, folder: Path = MY_LABS, labs: Path = FOLDER) -> list[str]:
    """Make a copy of each lab that has none, and merge what is new in a lab into its copy.

    Returns:
        A sentence for each copy into which something was merged.

    Raises:
        LabError: A copy cannot be read; it is left as it is.
    """
    said = []
    for original in sorted(labs.glob("phase*.ipynb")):
        copy, base = folder / original.name, folder / ".base" / original.name
        latest = without_outputs(read(original))
        if not copy.exists():
            _write(latest, copy)
        elif not base.exists():
            continue  # a file of the student's own, with the name of a lab
        elif _sources(read(base)) != _sources(latest):
            said.append(_merge_into(copy, read(base), latest))
        else:
            continue
        _write(latest, base)
    return said


def merged(base: NotebookNode, mine: NotebookNode, latest: NotebookNode) -> NotebookNode:
    """Return the student's notebook with the cells of the latest version wherever the student changed nothing.

    A cell that the student wrote or changed stays as it is, after the cell that it followed. A cell that the student
    deleted stays deleted. A cell that the course deleted goes, unless the student has changed it.
    """
    before, own = _by_id(base), _by_id(mine)
    cells = [
        _newer(own.get(cell["id"]), before, cell)
        for cell in latest.cells
        if cell["id"] in own or cell["id"] not in before
    ]
    placed = {cell["id"] for cell in cells}
    previous = ""
    for cell in mine.cells:
        if cell["id"] not in placed and _is_students(cell, before):
            place = next((n for n, one in enumerate(cells) if one["id"] == previous), -1)
            cells.insert(place + 1, cell)
            placed.add(cell["id"])
        previous = cell["id"] if cell["id"] in placed else previous
    result = nbformat.from_dict({**latest, "cells": cells})  # type: ignore[no-untyped-call]
    assert isinstance(result, NotebookNode)
    return result


def _newer(mine: NotebookNode | None, before: Cells, latest: NotebookNode) -> NotebookNode:
    """Return the student's cell if the student changed it, or if nothing is new in it; else the latest one."""
    if mine is not None and (_is_students(mine, before) or mine.source == latest.source):
        return mine
    return latest


def _is_students(cell: NotebookNode, before: Cells) -> bool:
    return cell["id"] not in before or cell.source != before[cell["id"]].source


def _merge_into(copy: Path, base: NotebookNode, latest: NotebookNode) -> str:
    try:
        mine = read(copy)
        before = _by_id(base)
        changed = [cell["id"] for cell in mine.cells if _is_students(cell, before)]
        result = merged(base, mine, latest)
    except Exception as problem:  # whatever nbformat makes of a file that is no notebook
        raise LabError(
            f"{copy} cannot be read ({type(problem).__name__}): move it away, and `lab open` makes a new copy."
        ) from problem
    _write(mine, copy.parent / ".before" / f"{copy.stem}-{datetime.now():%Y%m%d-%H%M%S}.ipynb")
    _write(result, copy)
    both = [id for id in changed if _changed_too(id, before, _by_id(latest))]
    kept = (
        f"Your {len(changed)} cells are as they were"
        if len(changed) != 1
        else "Your cell is as it was"
    )
    also = f"; the course has changed some of them too: {', '.join(both)}" if both else ""
    return f"{copy.name} has the new version of the lab. {kept}{also}."


def _changed_too(cell: str, before: Cells, latest: Cells) -> bool:
    return cell in before and cell in latest and before[cell].source != latest[cell].source


def without_outputs(notebook: NotebookNode) -> NotebookNode:
    """Return the notebook as a student opens it for the first time."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata.clear()
    notebook.metadata.update(kernelspec=KERNEL)
    return notebook


def _by_id(notebook: NotebookNode) -> dict[str, NotebookNode]:
    return {cell["id"]: cell for cell in notebook.cells}


def _sources(notebook: NotebookNode) -> list[tuple[str, str]]:
    return [(cell["id"], cell.source) for cell in notebook.cells]


def _write(notebook: NotebookNode, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    write_whole(path, partial(Path.write_text, data=text, encoding="utf-8"))
