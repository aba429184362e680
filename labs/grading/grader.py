"""Grades a folder of bundles on all cores, compares them with each other, and writes one row for each."""

from __future__ import annotations

import csv
import io
import multiprocessing
import resource
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from environment.errors import LabError
from labs.experiment import find, modules
from labs.grading.copies import find_copies
from labs.grading.course import labs
from labs.grading.evaluation import UNREADABLE, Grade, evaluate
from labs.grading.flags import Flag
from labs.machine import cores
from labs.records import write_whole

MEMORY_BYTES = 8 * 2**30
"""Limit of the addresses of a process that evaluates bundles, where the system has such a limit."""

Watch = Callable[[str], None]
"""Receives a line of progress."""


def grade_folder(
    folder: Path,
    *,
    seeds: Mapping[str, int] | None = None,
    watch: Watch,
    ignored: Path | None = None,
) -> list[Grade]:
    """Return the grade of each file in a folder and its subfolders, compared with the others.

    Args and errors are those of `evaluate_folder`.
    """
    grades = evaluate_folder(folder, seeds=seeds, watch=watch, ignored=ignored)
    _compare(grades)
    return grades


def evaluate_folder(
    folder: Path,
    *,
    seeds: Mapping[str, int] | None = None,
    watch: Watch,
    ignored: Path | None = None,
    runs_code: bool = True,
) -> list[Grade]:
    """Return the grade of each file in a folder and its subfolders, in the order of their names.

    Args:
        folder: The folder of the bundles.
        seeds: The seed that each student was given.
        watch: Receives a line of progress for each bundle.
        ignored: A file that is no bundle, such as the table of the last grading.
        runs_code: Whether the functions that students wrote are run against their checks.

    Raises:
        LabError: The folder does not exist or holds no file.
    """
    if not folder.is_dir():
        raise LabError(f"There is no folder {folder}.")
    paths = [path for path in _files(folder) if not (ignored and _same_file(path, ignored))]
    if not paths:
        raise LabError(f"{folder} holds no bundles: students make them with `lab hand-in`.")
    names = [path.relative_to(folder).as_posix() for path in paths]
    grades = []
    work = partial(evaluate, seeds=seeds, runs_code=runs_code)
    for grade in _evaluate_all(list(zip(paths, names, strict=True)), work):
        grades.append(grade)
        watch(f"{len(grades)} of {len(paths)}  {grade.file}")
    return grades


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and its subfolders; those whose name begins with a dot are left out."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and (path.is_symlink() or not path.is_dir()):
            yield path


def _same_file(path: Path, other: Path) -> bool:
    return path.resolve() == other.resolve()


def _evaluate_all(
    tasks: Sequence[tuple[Path, str]], work: Callable[[Path, str], Grade]
) -> Iterator[Grade]:
    """Yield the grades in the order of the tasks.

    The work is done in processes of their own. A bundle whose process dies gets a grade that says so.
    """
    for name in modules():
        find(name)  # imported once, before the processes fork
    labs()
    done = 0
    while done < len(tasks):
        try:
            with _pool(min(cores(), len(tasks) - done)) as pool:
                waiting = [pool.submit(work, *task) for task in tasks[done:]]
                for each in waiting:
                    yield each.result()
                    done += 1
        except BrokenProcessPool:
            yield _alone(*tasks[done], work)  # which may be its neighbour's fault
            done += 1


def _alone(path: Path, name: str, work: Callable[[Path, str], Grade]) -> Grade:
    """Return the grade of a bundle in a process that it shares with no other."""
    try:
        with _pool(1) as pool:
            return pool.submit(work, path, name).result()
    except BrokenProcessPool:
        return Grade(name, flags=[Flag(UNREADABLE, "it ended the process that read it")])


def _pool(size: int) -> ProcessPoolExecutor:
    method = "fork" if sys.platform == "linux" else "spawn"
    context = multiprocessing.get_context(method)
    return ProcessPoolExecutor(size, mp_context=context, initializer=_limit_memory)


def _limit_memory() -> None:
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def _compare(grades: Sequence[Grade]) -> None:
    """Flag the bundles that share samples, and a student's second bundle of a phase."""
    for i, j, what in find_copies([grade.handed for grade in grades]):
        for one, other in ((grades[i], grades[j]), (grades[j], grades[i])):
            one.flags.append(Flag("copy", f"{what}, as {other.student or '?'} in {other.file}"))
    seen: dict[tuple[str, str], Grade] = {}
    for grade in grades:
        first = seen.setdefault((grade.student, grade.phase), grade)
        if grade.student and first is not grade:
            for one, other in ((first, grade), (grade, first)):
                one.flags.append(Flag("twice", f"another bundle of this student is {other.file}"))


def row_of(grade: Grade) -> dict[str, Any]:
    """Return a grade as a JSON object."""
    return {
        "student": grade.student,
        "file": grade.file,
        "phase": grade.phase,
        "passed": grade.passed,
        "of": len(grade.verdicts),
        "verdicts": grade.verdicts,
        "answers": grade.answers,
        "mechanisms": grade.mechanisms,
        "rerun": grade.rerun,
        "flags": [flag._asdict() for flag in grade.flags],
        "seconds": grade.run_seconds,
        "graded_in": grade.seconds,
    }


def write_csv(grades: Sequence[Grade], path: Path) -> None:
    """Write one row per bundle, with a column for each experiment, each exercise and each mechanism to write.

    Raises:
        LabError: The file cannot be written.
    """
    experiments = list(dict.fromkeys(name for grade in grades for name in grade.verdicts))
    exercises = sorted({name for grade in grades for name in grade.answers})
    mechanisms = sorted({name for grade in grades for name in grade.mechanisms})
    columns = ["student", "file", "phase", "passed", "of", *experiments, *exercises, *mechanisms]
    text = io.StringIO()
    table = csv.DictWriter(text, [*columns, "rerun", "flags", "seconds", "graded_in"], restval="")
    table.writeheader()
    for grade in grades:
        row = row_of(grade)
        row |= row.pop("verdicts") | row.pop("answers") | row.pop("mechanisms")
        row["flags"] = "; ".join(map(str, grade.flags))
        table.writerow({name: _cell(value) for name, value in row.items()})
    data = text.getvalue().encode("utf-8", "backslashreplace")
    try:
        write_whole(path, lambda draft: draft.write_bytes(data))
    except OSError as problem:
        raise LabError(f"{path} cannot be written: {problem.strerror}.") from None


def _cell(value: Any) -> Any:
    """Return a value as a spreadsheet may read it: a text is no formula."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return "'" + value
    return value
