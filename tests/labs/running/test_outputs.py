"""What a notebook keeps in git."""

from pathlib import Path

import nbformat
from nbformat import NotebookNode

from labs.running.outputs import main, read
from tests.labs.toys import write_lab


def test_only_a_verdict_keeps_its_output_and_always_the_same_count(tmp_path: Path) -> None:
    path = write_lab(tmp_path, "2 + 2", "'PASS'")
    notebook = read(path)
    notebook.cells[3].metadata["tags"] = ["verdict"]
    for count, cell in enumerate(notebook.cells[1:], start=4):
        cell.execution_count = count
        cell.outputs = [
            NotebookNode(
                output_type="execute_result",
                data={"text/plain": "1"},
                metadata={},
                execution_count=count,
            )  # type: ignore[no-untyped-call]
        ]
        cell.metadata["papermill"] = {"duration": 0.1}
    executed = tmp_path / "executed.ipynb"
    executed.write_text(_text(notebook))
    path.write_text(_text(notebook))
    main(str(path), str(executed))
    tidy = read(path)
    assert [len(cell.get("outputs", [])) for cell in tidy.cells] == [0, 0, 0, 1]
    assert [cell.get("execution_count") for cell in tidy.cells] == [None, None, None, 1]
    assert not any("papermill" in cell.metadata for cell in tidy.cells)


def _text(notebook: object) -> str:
    return str(nbformat.writes(notebook))  # type: ignore[no-untyped-call]
