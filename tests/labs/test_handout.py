"""The handout holds no answer, and works; the solutions hold all of them."""

import subprocess
import sys
from pathlib import Path

import pytest

from environment.errors import LabError
from labs import handout
from labs.exercises import every_exercise
from labs.handout import write_handout, write_solutions
from labs.machine import ROOT
from labs.mechanisms import every_mechanism
from labs.running.notebooks import all_labs
from labs.running.outputs import read
from tests.labs.exercises.test_exercises import RIGHT


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("students") / "handout"
    assert write_handout(folder) > 300
    return folder


def test_a_handout_holds_no_tests_and_no_verdicts(given: Path) -> None:
    assert not (given / "tests").exists()
    assert not (given / "scripts" / "test.py").exists()
    assert not list(given.rglob("test_*.py"))
    assert not list(given.rglob("teachers_guide*"))
    assert "teachers_guide" not in (given / "handbook" / "index.md").read_text()
    for lab in all_labs().values():
        cells = read(given / "labs" / lab.path.name).cells
        assert len(cells) == len(read(lab.path).cells)
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


def test_a_handout_is_complete_enough_to_run(given: Path) -> None:
    command = "import labs.cli.main, labs.exercises; print(labs.exercises.check('p5-1', 20))"
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=given, capture_output=True, text=True, timeout=60
    )
    assert "p5-1: not yet." in done.stdout, done.stderr
    assert "scripts/test.py" not in (given / "README.md").read_text()
    assert (given / "scripts" / "run.py").exists()


def test_the_solutions_name_every_exercise_and_hold_the_answers(tmp_path: Path) -> None:
    folder = tmp_path / "solutions"
    write_solutions(folder)
    text = (folder / "README.md").read_text()
    assert [name for name in every_exercise() if f"| {name} |" not in text] == []
    assert (folder / "tests/labs/exercises/test_exercises.py").exists()
    assert len(list((folder / "tests/notebooks").glob("test_answers*.py"))) >= len(all_labs())
    for id in every_mechanism():
        assert (folder / "tests/mutants/replaced" / id / "reference.py").exists()
    assert any(cell.get("outputs") for cell in read(folder / "labs/phase0_services.ipynb").cells)


def test_no_other_file_than_the_tests_holds_the_values_of_all_answers(given: Path) -> None:
    assert not [path for path in given.rglob("*.py") if repr(RIGHT["p0-3"][0]) in path.read_text()]


def test_a_folder_with_files_or_in_the_clone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(LabError, match="holds files already: name a new folder"):
        write_handout(tmp_path)
    with pytest.raises(LabError, match="lies in this clone"):
        write_handout(ROOT / "handout")
    assert not (ROOT / "handout").exists()


def test_outside_of_git_the_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handout, "ROOT", tmp_path)
    with pytest.raises(LabError, match="is no clone of git"):
        write_solutions(tmp_path / "out")
