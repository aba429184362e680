"""What every lab's notebook keeps to: small cells, no stored outputs but the verdicts, stable ids."""

import ast
import json
import re
from pathlib import Path
from statistics import median

import pytest
from nbformat import NotebookNode

from labs.experiment import find, modules
from labs.guessing import guesses_of
from labs.running.notebooks import FOLDER, Lab
from labs.running.outputs import is_verdict, read, tidy

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook: NotebookNode) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def test_cells_are_small(path: Path) -> None:
    lines = sorted(
        sum(bool(line.strip()) for line in cell.source.splitlines()) for cell in code(read(path))
    )
    assert median(lines) <= 4
    assert lines[int(0.9 * (len(lines) - 1))] <= 10
    assert lines[-1] <= 15


def test_the_file_is_stored_as_it_belongs_in_git(path: Path) -> None:
    """No outputs but the verdicts', no execution counts, no kernel's version."""
    assert tidy(read(path)) == read(path)


def test_every_verdict_is_stored_so_that_nbval_compares_it(path: Path) -> None:
    """nbval executes, and never compares, a cell that was saved without an execution count."""
    verdicts = [cell for cell in code(read(path)) if is_verdict(cell)]
    for cell in verdicts:
        assert "keep_output" in cell.metadata["tags"]
        assert cell.execution_count == 1
        (output,) = cell.outputs
        assert output.data["text/plain"].startswith("PASS: ")
    judged = [cell.outputs[0].data["text/plain"].split()[1] for cell in verdicts]
    assert judged == list(Lab.read(path).experiments)


def test_a_stored_verdict_holds_no_measured_digit(path: Path) -> None:
    """It may contain only the numbers of its rule, which the judge's own source contains."""
    for cell in filter(is_verdict, code(read(path))):
        text = cell.outputs[0].data["text/plain"]
        name = text.split()[1]
        source = (FOLDER.parent / f"{modules()[name].replace('.', '/')}.py").read_text()
        nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
        rule = " ".join(str(node.value) for node in nodes)
        assert set(re.findall(r"\d[\d.,%]*", text)) <= set(re.findall(r"\d[\d.,%]*", rule))


def test_ids_are_written_by_hand_and_unique(path: Path) -> None:
    ids = [cell["id"] for cell in read(path).cells]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", id) for id in ids)
    assert not any(re.fullmatch(r"[0-9a-f]{8}", id) for id in ids)


def test_it_says_what_it_is_and_takes_the_common_parameters(path: Path) -> None:
    lab = Lab.read(path)
    assert path.stem.startswith(f"{lab.phase}_")
    assert set(lab.parameters) >= {"PROFILE", "RUNTIME", "SEED"}
    assert set(lab.experiments) <= set(modules())
    assert json.loads(path.read_text())["metadata"]["kernelspec"]["name"] == "python3"


@pytest.mark.parametrize(
    "part", ["What you will do", "What you will learn", "What you need", "What we saw"]
)
def test_it_opens_and_closes_as_every_lab(path: Path, part: str) -> None:
    assert part in prose(read(path))


@pytest.mark.parametrize(
    "part",
    ["## Exercises", "<details><summary>Hint", "Questions to answer", "Next lab", "handbook"],
)
def test_it_ends_with_work_for_the_reader(path: Path, part: str) -> None:
    assert part in prose(read(path))


def test_it_waits_for_nothing_by_sleeping_and_prints_no_table(path: Path) -> None:
    source = "\n".join(cell.source for cell in code(read(path)))
    assert "sleep(" not in source
    assert "import *" not in source
    assert not re.search(r"print\(.*(status|samples|prediction)", source)


def test_every_guess_stands_before_the_theory_and_the_measurement(path: Path) -> None:
    """One cell for each experiment that asks, with dots for each of its quantities, and one for the calibration."""
    cells = code(read(path))
    for name in Lab.read(path).experiments:
        quantities = guesses_of(find(name))
        places = [
            [index for index, cell in enumerate(cells) if re.search(pattern, cell.source)]
            for pattern in (
                rf"(?m)^run\.guess\({name}, .*sure=\.\.\.\)$",
                rf"(?m)^prediction = {name}\.predict",
                rf"run\.measure\({name},",
            )
        ]
        asked, predicted, measured = places
        assert len(asked) == bool(quantities)
        if quantities:
            assert asked[0] < predicted[0] < measured[0]
            given = re.findall(r"(\w+)=\.\.\.", cells[asked[0]].source)
            assert given == [*quantities, "sure"]
    assert [cell.source for cell in cells].count("run.calibration()") == 1


def test_its_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", prose(read(path))):
        assert target.startswith("http") or (path.parent / target).exists()
