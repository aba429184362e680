"""`lab hand-in`, `lab grade` and `lab class`: the evidence of a student's run, the grades of a class, and its page."""

import csv
import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from environment.errors import LabError
from labs.cli.options import JsonOption, say

if TYPE_CHECKING:
    from labs.grading.evaluation import Grade

app = typer.Typer()


@app.command("hand-in")
def hand_in(
    phase: Annotated[str, typer.Argument(help="The phase whose run is handed in.")],
    student: Annotated[str, typer.Option(help="Your id, as your instructor knows it.")],
    out: Annotated[Path, typer.Option(help="The file to write, such as phase1.zip.")],
    run: Annotated[
        Path | None, typer.Option(help="The folder of a run; default: the newest complete one.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Overwrite a file that exists.")] = False,
) -> None:
    """Write the evidence of a complete run as one file, to hand in."""
    from labs.grading import bundle
    from labs.running.notebooks import choose

    (lab,) = choose([phase])
    record = bundle.hand_in(phase, student=student, out=out, run=run, force=force)
    guesses, answers = record.facts.get("guesses", {}), record.facts.get("answers", [])
    answered = len({each["exercise"] for each in answers})
    print(
        f"{out}: {len(record.experiments)} experiments of the run {record.path.name}, "
        f"guesses for {len(guesses)} of them, and answers to {answered} exercises"
    )
    if (later := bundle.left_behind(record)) and run is None:
        say(
            f"the run {later.path.name} is newer and holds answers, but it is not complete: run its last cell, "
            "`run.finish()`, and hand in again with --force"
        )
    if missing := [name for name in lab.experiments if name not in record.experiments]:
        say(f"not in this run: {', '.join(missing)}")


@app.command()
def grade(
    folder: Annotated[Path, typer.Argument(help="The folder of the bundles.", metavar="DIR")],
    table: Annotated[Path, typer.Option("--csv", help="The table to write, a row per bundle.")],
    rerun: Annotated[
        float | None, typer.Option(help="Run this share of the bundles again, such as 0.1.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Chooses the share; default: a new one, which is printed.")
    ] = None,
    seeds: Annotated[
        Path | None, typer.Option(help="A CSV file with the columns student and seed.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge the samples of every bundle anew, and flag what is odd; exit 0 also when students fail."""
    from labs.cli.frames import cell
    from labs.grading.grader import grade_folder, row_of, write_csv
    from labs.grading.reruns import choose_reruns
    from labs.grading.reruns import rerun as run_again

    if rerun is not None:
        choose_reruns([], rerun, 0)  # refuses a share that is none, before the work
    if not table.parent.is_dir() or table.is_dir():
        raise LabError(f"{table} cannot be written: it should be a file in a folder that exists.")
    given = _read_seeds(seeds) if seeds else None
    grades = grade_folder(folder, seeds=given, watch=lambda line: say(cell(line)), ignored=table)
    write_csv(grades, table)
    if rerun is not None:
        number = secrets.randbelow(10**6) if seed is None else seed
        chosen = choose_reruns(grades, rerun, number)
        say(f"running {len(chosen)} of {len(grades)} again, chosen with --seed {number}")
        run_again(chosen, lambda line: say(cell(line)))
        write_csv(grades, table)
    print(json.dumps([row_of(each) for each in grades], indent=2) if as_json else _lines(grades))


@app.command("class")
def class_page(
    folder: Annotated[Path, typer.Argument(help="The folder of the bundles.", metavar="DIR")],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("class.html"),
    names: Annotated[
        bool, typer.Option("--names", help="Name the students, and the files that are no bundles.")
    ] = False,
) -> None:
    """Write a page about a class: its guesses, calibration, verdicts and common wrong answers."""
    from labs.cli.frames import cell
    from labs.grading.class_page import unread, write_class_page
    from labs.grading.grader import evaluate_folder

    if not out.parent.is_dir() or out.is_dir():
        raise LabError(f"{out} cannot be written: it should be a file in a folder that exists.")
    watch = lambda line: say(cell(line))  # noqa: E731
    grades = evaluate_folder(folder, watch=watch, ignored=out, runs_code=False)
    write_class_page(grades, out, names=names)
    bad = unread(grades)
    print(f"{out}: the page of {len(grades) - len(bad)} bundles")
    for line in bad:
        print(cell(f"not read: {line}"))


def _lines(grades: "list[Grade]") -> str:
    """Return the grades as aligned lines."""
    from environment.client.status import aligned
    from labs.cli.frames import cell

    rows = [["student", "file", "phase", "passed", "rerun", "flags"]]
    for each in grades:
        kinds = ", ".join(dict.fromkeys(flag.kind for flag in each.flags))
        passed = f"{each.passed} of {len(each.verdicts)}"
        row = (each.student, each.file, each.phase, passed, each.rerun, kinds)
        rows.append([cell(value or None) for value in row])
    return aligned(rows)


def _read_seeds(path: Path) -> dict[str, int]:
    """Return the seed of each student.

    Raises:
        LabError: The file cannot be read, or a row has no student or no whole number.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        return {row["student"].strip(): int(row["seed"]) for row in rows}
    except (OSError, ValueError, KeyError, AttributeError, TypeError, csv.Error):
        raise LabError(
            f"{path} cannot be used: it should be a CSV file with the columns student and seed, "
            "and each seed a whole number."
        ) from None
