"""Reads an evidence bundle that anybody may have made: nothing in it is executed, unpickled or written to disk.

The limits are far above an honest bundle (5 MB when it is unpacked) and far below what disturbs the machine.
"""

from __future__ import annotations

import csv
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from environment.errors import LabError
from labs.grading.bundle import CODE, FORMAT, MANIFEST, RECORD, student_id
from labs.records import read_frame

MOST_BYTES = 64 * 2**20
"""Size of a bundle's file."""

MOST_UNPACKED = 256 * 2**20
"""Size of all files of a bundle together, when they are unpacked."""

MOST_FILES = 200

MOST_ROWS = 500_000
"""Rows of one table."""

KNOWN = re.compile(rf"{MANIFEST}|{RECORD}|{CODE}|(samples|predictions)/\w{{1,80}}\.csv", re.ASCII)
"""The names of the files that a bundle has."""

KINDS = {"str", "object", "string", "int64", "float64", "bool"}
"""The types of columns that a record states."""

DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
    OverflowError,
)
"""What `zipfile` raises for a file that is damaged or made to deceive."""


class BundleError(LabError):
    """Raised for a bundle, or a table in it, that cannot be read. The message has no name of the bundle's file."""


@dataclass(frozen=True)
class Bundle:
    """The content of a bundle. `odd` names the files that no bundle has, which were not read."""

    manifest: dict[str, Any]
    record: dict[str, Any]
    files: dict[str, bytes]
    odd: list[str] = field(default_factory=list)

    @property
    def phase(self) -> str:
        """The phase that the record states, which is where the samples come from."""
        return str(self.record["phase"])

    def samples(self, name: str) -> pd.DataFrame:
        """Return the samples of an experiment."""
        return self._frame(name, "samples")

    def prediction(self, name: str) -> pd.DataFrame:
        """Return the prediction of an experiment."""
        return self._frame(name, "predictions")

    def _frame(self, name: str, folder: str) -> pd.DataFrame:
        path = f"{folder}/{name}.csv"
        if path not in self.files:
            raise BundleError(f"{path} is missing")
        entry = self.record["experiments"].get(name)
        try:
            return table(self.files[path], _types(entry, folder))
        except BundleError as problem:
            raise BundleError(f"{path} {problem}") from None


def read_bundle(path: Path) -> Bundle:
    """Return the content of a bundle's file.

    Raises:
        BundleError: It is no bundle; the message says why.
    """
    if path.is_symlink() or not path.is_file():
        raise BundleError("is no regular file")
    if path.stat().st_size > MOST_BYTES:
        raise BundleError(f"is larger than {MOST_BYTES >> 20} MB")
    try:
        with zipfile.ZipFile(path) as archive:
            files, odd = _unpacked(archive)
    except DAMAGED as problem:
        what = "is no zip file, or only a part of one"
        detail = "" if isinstance(problem, zipfile.BadZipFile | EOFError) else f" ({problem})"
        raise BundleError(what + detail) from None
    manifest = _object(files, MANIFEST)
    version = manifest.get("format")
    if not isinstance(version, int) or version < 1:
        raise BundleError(f"{MANIFEST} states no format")
    if version > FORMAT:
        raise BundleError("was written by a newer version: update this clone to read it")
    record = _object(files, RECORD)
    if not (isinstance(record.get("phase"), str) and isinstance(record.get("experiments"), dict)):
        raise BundleError(f"{RECORD} is not the record of a run: it names no phase or experiments")
    return Bundle(manifest, record, files, odd)


def student_of(manifest: Mapping[str, Any]) -> str:
    """Return the student that a manifest names; empty when that is no id."""
    try:
        return student_id(str(manifest.get("student", "")))
    except LabError:
        return ""


def _unpacked(archive: zipfile.ZipFile) -> tuple[dict[str, bytes], list[str]]:
    """Return the known files of an archive, and the names of the others."""
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > MOST_FILES:
        raise BundleError(f"holds {len(entries):,} files: more than {MOST_FILES}")
    if len({entry.filename for entry in entries}) < len(entries):
        raise BundleError("holds two files of one name")
    total = sum(entry.file_size for entry in entries)
    if total > MOST_UNPACKED:
        raise BundleError(f"would unpack to {total >> 20:,} MB: more than {MOST_UNPACKED >> 20}")
    known = [entry for entry in entries if KNOWN.fullmatch(entry.filename)]
    for entry in known:
        if entry.flag_bits & 1:
            raise BundleError(f"holds {entry.filename} with a password")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BundleError(f"holds {entry.filename} in a compression that no bundle uses")
    files = {entry.filename: _content(archive, entry) for entry in known}
    return files, [entry.filename for entry in entries if entry.filename not in files]


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """Return a file of an archive.

    With a limit, `read` unpacks no more than that; without one, it unpacks all before it looks at the stated size.
    """
    with archive.open(entry) as stream:
        return stream.read(entry.file_size + 1)


def _object(files: Mapping[str, bytes], name: str) -> dict[str, Any]:
    """Return the JSON object in a file."""
    if name not in files:
        raise BundleError(f"{name} is missing: this is no bundle of `lab hand-in`")
    try:
        value = json.loads(files[name].decode())
    except UnicodeDecodeError:
        raise BundleError(f"{name} is not UTF-8 text") from None
    except (ValueError, RecursionError):
        raise BundleError(f"{name} is not JSON") from None
    if not isinstance(value, dict):
        raise BundleError(f"{name} is not a JSON object")
    return value


def _types(entry: Any, folder: str) -> dict[str, str]:
    """Return the types of a table's columns that a record states."""
    for name in ("samples" if folder == "samples" else "prediction", "types"):
        entry = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not entry or set(map(str, entry.values())) - KINDS:
        raise BundleError(f"has no usable types of its columns in {RECORD}")
    return entry


def table(data: bytes, types: dict[str, str]) -> pd.DataFrame:
    """Return the table of a CSV file with these types of its columns; a further column is left out.

    Raises:
        BundleError: It cannot be read, a column is missing or has other values, or it has too many rows.
    """
    try:
        data.decode()
    except UnicodeDecodeError:
        raise BundleError("is not UTF-8 text") from None
    if data.count(b"\n") > MOST_ROWS:
        raise BundleError(f"has more than {MOST_ROWS:,} rows")
    header = header_of(data)
    if missing := [name for name in types if name not in header]:
        raise BundleError(f"has no column {', '.join(missing)}")
    if len(set(header)) < len(header):
        raise BundleError("has two columns of one name")
    try:
        return read_frame(io.BytesIO(data), types)[list(types)]
    except Exception as problem:  # pandas raises many kinds, and none of them may end the grading
        lines = str(problem).splitlines() or [type(problem).__name__]
        raise BundleError(f"cannot be read as its types: {lines[0]}") from None


def header_of(data: bytes) -> list[str]:
    """Return the names of a CSV file's columns."""
    try:
        return next(csv.reader(io.StringIO(data.decode())), [])
    except csv.Error:
        return []
