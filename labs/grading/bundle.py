"""`lab hand-in`: writes the evidence of one run as one file, the same bytes for the same run.

A bundle is a zip file. `manifest.json` names the format, the student, the phase, the version of the course, and the
SHA-256 of every other file: `record.json` (the run's record as it is: parameters, seed, machine, versions, seconds,
verdicts), `samples/NAME.csv` and `predictions/NAME.csv` of each experiment, and `code.py`, the code cells of the
notebook, when there is one.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from environment.errors import LabError
from labs.grading.course import course_version, labs
from labs.records import Record, load_record, runs_folder, write_whole
from labs.running import copies

FORMAT = 1
"""The version of the format; it grows when a grader for the older format would misread a new bundle."""

MANIFEST, RECORD, CODE = "manifest.json", "record.json", "code.py"

STUDENT = re.compile(r"\w([\w.@+-]{0,62}[\w+-])?")
"""A student's id: letters and digits of any script, and `. _ @ + -` inside it."""

MIDNIGHT = (1980, 1, 1, 0, 0, 0)
"""The time of every file in a bundle: the earliest that a zip file can state."""


def hand_in(
    phase: str, *, student: str, out: Path, run: Path | None = None, force: bool = False
) -> Record:
    """Write the evidence bundle of a phase's newest complete run, and return the run's record.

    Args:
        phase: The phase.
        student: The id of the student.
        out: The file to write.
        run: The folder of another run than the newest complete one.
        force: Whether a file that exists is overwritten.

    Raises:
        LabError: The id, the file or the run cannot be used; the message says why.
    """
    name = student_id(student)
    _require_free(out, force)
    record = _complete(run, phase) if run else _newest_complete(phase)
    if not record.facts["experiments"]:
        raise LabError(f"The run {record.path} is not complete: it kept no experiment.")
    data = _archived(record, name)
    try:
        write_whole(out, lambda draft: _write_zip(draft, data))
    except OSError as problem:
        raise LabError(f"{out} cannot be written: {problem.strerror}.") from None
    return record


def student_id(text: str) -> str:
    """Return a student's id in its normal form.

    Raises:
        LabError: It is empty, longer than 64 characters, or holds something that no file name should.
    """
    name = unicodedata.normalize("NFC", text.strip())
    if not name:
        raise LabError("The student's id is empty: give the id that your instructor knows.")
    if not STUDENT.fullmatch(name):
        raise LabError(
            f"{name!r} is no student's id: it should be 1 to 64 letters, digits or . _ @ + -, "
            "begin with a letter or a digit, and hold no space."
        )
    return name


def _require_free(out: Path, force: bool) -> None:
    if not out.parent.is_dir():
        raise LabError(f"There is no folder {out.parent}: make it first, or choose another --out.")
    if out.is_dir():
        raise LabError(
            f"{out} is a folder: --out names the file to write, such as {out / 'me.zip'}."
        )
    if out.exists() and not force:
        raise LabError(f"{out} exists already: choose another name, or overwrite it with --force.")


def _newest_complete(phase: str) -> Record:
    """Return the newest record of a phase that reached its end."""
    records = sorted(_records_of(phase), key=lambda each: (each.facts["started"], each.path.name))
    complete = [record for record in records if record.facts["status"] == "complete"]
    if complete:
        return complete[-1]
    if not records:
        raise LabError(
            f"There is no run of {phase} in {runs_folder()}: work through it with `lab open "
            f"{phase}`, or run it with `lab run {phase}`."
        )
    raise _not_complete(records[-1])


def left_behind(record: Record) -> Record | None:
    """Return the newest run of the same phase that holds answers, began later than `record`, and did not end."""
    later = [
        each
        for each in _records_of(record.facts["phase"])
        if each.facts["started"] > record.facts["started"]
        and each.facts["status"] != "complete"
        and each.facts.get("answers")
    ]
    return max(later, key=lambda each: str(each.facts["started"]), default=None)


def _records_of(phase: str) -> Iterator[Record]:
    for path in runs_folder().glob("*/record.json"):
        if path.parent.is_symlink():
            continue
        try:
            record = load_record(path.parent)
            known = record.facts["phase"], record.facts["started"], record.facts["status"]
        except (LabError, KeyError, TypeError):
            continue
        if known[0] == phase:
            yield record


def _complete(run: Path, phase: str) -> Record:
    """Return the record in a folder, when it is a complete one of that phase."""
    record = load_record(run)
    if record.facts.get("phase") != phase:
        raise LabError(f"{run} is a run of {record.facts.get('phase')}, not of {phase}.")
    if record.facts.get("status") != "complete":
        raise _not_complete(record)
    return record


def _not_complete(record: Record) -> LabError:
    phase, status = record.facts["phase"], record.facts["status"]
    return LabError(
        f"The run {record.path} is not complete (it is {status!r}): run {phase} to its last cell, "
        f"`run.finish()`, or with `lab run {phase}`."
    )


def _archived(record: Record, student: str) -> dict[str, bytes]:
    """Return the files of a bundle, the manifest first."""
    files = dict(_evidence(record))
    manifest = {
        "format": FORMAT,
        "student": student,
        "phase": record.facts["phase"],
        "course": course_version(record.facts["phase"]),
        "files": {name: sha256(data) for name, data in files.items()},
    }
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False)
    return {MANIFEST: text.encode(), **files}


def _evidence(record: Record) -> Iterator[tuple[str, bytes]]:
    yield RECORD, _read(record, "record.json")
    for name, entry in sorted(record.facts["experiments"].items()):
        yield f"samples/{name}.csv", _read(record, entry["samples"]["file"])
        yield f"predictions/{name}.csv", _read(record, entry["prediction"]["file"])
    if code := _code(record):
        yield CODE, code.encode()


def _read(record: Record, name: str) -> bytes:
    try:
        return (record.path / name).read_bytes()
    except OSError:
        raise LabError(
            f"The run {record.path} is not complete: its file {name} cannot be read."
        ) from None


def _code(record: Record) -> str:
    """Return the code cells of the notebook of a run as one text, empty without a notebook.

    `lab run` keeps the notebook with the record. A run in JupyterLab is one of the student's copy.
    """
    kept = record.path / str(record.facts.get("notebook"))
    copy = copies.MY_LABS / labs()[record.facts["phase"]].path.name
    for path in (kept, copy):
        try:
            return code_of(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return ""


def code_of(notebook: Mapping[str, Any]) -> str:
    """Return the code cells of a notebook as one text, each below a line `# %% cell 3`."""
    cells = enumerate(notebook["cells"], start=1)
    code = [(number, cell["source"]) for number, cell in cells if cell["cell_type"] == "code"]
    return "".join(f"# %% cell {number}\n{''.join(source).rstrip()}\n\n" for number, source in code)


def _write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, MIDNIGHT)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # as on Linux, also when this is another system
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)


def sha256(data: bytes) -> str:
    """Return the SHA-256 of a file's content."""
    return hashlib.sha256(data).hexdigest()
