"""What students get, and what instructors get beside it, each as a folder.

A handout is this clone without what answers the exercises: without the tests, which hold the reference answers and the
wrong systems, and without the stored verdicts of the labs. The solutions are these answers.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

import nbformat

from environment.errors import LabError
from labs.exercises import every_exercise
from labs.machine import ROOT
from labs.running.copies import without_outputs
from labs.running.outputs import read

FOR_MAINTAINERS = ("tests/*", ".ci/*", ".github/*", ".pre-commit-config.yaml", "scripts/test.py")
"""What a handout leaves out; with the tests goes the command that runs them."""

GUIDE = "handbook/teachers_guide.md"
"""What it leaves out too: the answers to the votes and to the exercises."""

INDEX = "handbook/index.md"
NAMED_IN_INDEX = ("[Teacher's guide](teachers_guide.md), ", "teachers_guide\n")
"""Where the book's first page names the guide."""

ANSWERS = (
    "tests/notebooks/test_answers*.py",
    "tests/labs/exercises/test_*.py",
    "tests/labs/exercises/designs/*.py",
    "tests/mutants/replaced/*",
)
"""The reference answers: in code, as values and formulas with the usual wrong ones, and of the mechanisms to write."""

LABS = "labs/phase*.ipynb"


def write_handout(folder: Path) -> int:
    """Write what students get into a new folder; return the number of files.

    Raises:
        LabError: The folder holds files, or this is no clone.
    """
    files = [name for name in _tracked() if not _matches(name, (*FOR_MAINTAINERS, GUIDE))]
    _copy(files, _empty(folder))
    for name in files:
        if fnmatch(name, LABS):
            notebook = without_outputs(read(folder / name))
            nbformat.write(notebook, folder / name)  # type: ignore[no-untyped-call]
    readme = folder / "README.md"
    lines = readme.read_text(encoding="utf-8").splitlines(keepends=True)
    readme.write_text("".join(line for line in lines if "scripts/test.py" not in line), "utf-8")
    index = folder / INDEX
    text = index.read_text(encoding="utf-8")
    for named in NAMED_IN_INDEX:
        text = text.replace(named, "")
    index.write_text(text, encoding="utf-8")
    return len(files)


def write_solutions(folder: Path) -> int:
    """Write what instructors get beside the handout into a new folder; return the number of files.

    Raises:
        LabError: The folder holds files, or this is no clone.
    """
    files = [name for name in _tracked() if _matches(name, (*ANSWERS, LABS))]
    _copy(files, _empty(folder))
    rows = [
        f"| {name} | {one.title} | {one.level.value} | {one.answer} |"
        for name, one in every_exercise().items()
    ]
    text = "\n".join(
        [
            "# Solutions",
            "",
            "The labs with their stored verdicts, the reference answers as code (`tests/notebooks/`), and each",
            "answer as a value, with the usual wrong ones, and as a formula for the numbers of any seed",
            "(`tests/labs/exercises/`).",
            "",
            "| exercise | title | level | the answer is |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )
    (folder / "README.md").write_text(text, encoding="utf-8")
    return len(files) + 1


def _tracked() -> list[str]:
    command = ["git", "ls-files", "-z"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        raise LabError(
            f"{ROOT} is no clone of git, so that its files cannot be told from others. Make the folder in a clone."
        ) from None
    return [name for name in done.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _empty(folder: Path) -> Path:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise LabError(f"{folder} holds files already: name a new folder.")
    if folder.resolve().is_relative_to(ROOT):
        raise LabError(f"{folder} lies in this clone: name a folder outside of it.")
    return folder


def _copy(names: Iterable[str], folder: Path) -> None:
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
