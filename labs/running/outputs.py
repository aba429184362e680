"""What a notebook keeps in git: no outputs, except those of its verdict cells.

nbval compares only cells that were saved with an execution count, so a verdict cell keeps one, always 1. After the text
of a verdict has changed, store the new one from a run that you trust:

    lab run phase0
    python -m labs.running.outputs labs/phase0_services.ipynb runs/latest/phase0_services.ipynb
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}

KEPT_METADATA = ("tags", "jupyter")


def is_verdict(cell: NotebookNode) -> bool:
    """Return whether a cell shows a verdict, which its tag marks."""
    return cell.cell_type == "code" and "verdict" in cell.metadata.get("tags", [])


def tidy(notebook: NotebookNode, executed: NotebookNode | None = None) -> NotebookNode:
    """Return the notebook as git keeps it, with the outputs of its verdict cells from `executed` when given."""
    ran = {cell["id"]: cell for cell in (executed or notebook).cells}
    for cell in notebook.cells:
        cell.metadata = {k: v for k, v in cell.metadata.items() if k in KEPT_METADATA}
        if cell.cell_type == "code":
            outputs = ran[cell["id"]].outputs if is_verdict(cell) else []
            for output in outputs:
                if "execution_count" in output:
                    output.execution_count = 1
            cell.outputs, cell.execution_count = outputs, 1 if outputs else None
    notebook.metadata.clear()
    notebook.metadata.update(kernelspec=KERNEL)
    return notebook


def read(path: Path) -> NotebookNode:
    """Return the notebook of a file."""
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call, no-any-return]


def main(path: str, executed: str | None = None) -> None:
    """Tidy a notebook file in place."""
    notebook = tidy(read(Path(path)), read(Path(executed)) if executed else None)
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main(*sys.argv[1:])
