"""What the pages show: the records of this machine, the quantities of the prose, and what was shown where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from environment.errors import LabError
from labs.records import Record, RecordError, load_record, runs_folder
from labs.running.notebooks import Lab, all_labs
from labs.running.site.numbers import Measured, Reference, load_quantities, measure


class BookError(LabError):
    """Raised for a book that is not as it should be; `problems` holds one sentence for each fault."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


def all_records() -> list[Record]:
    """Return the records of this machine that can be read, the newest first."""
    paths = runs_folder().glob("*/record.json")
    records = []
    for path in sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True):
        if path.parent.is_symlink():
            continue
        try:
            records.append(load_record(path.parent))
        except RecordError:
            continue  # of another version, or half written: an older one may be readable
    return records


def newest_records() -> dict[str, Record]:
    """Return the newest record of each experiment that was kept on this machine."""
    newest: dict[str, Record] = {}
    for record in all_records():
        for name in record.experiments:
            newest.setdefault(name, record)
    return newest


class Book:
    """One build of the handbook.

    Args:
        root: The clone.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.labs: dict[str, Lab] = all_labs(root / "labs")
        self.phases = {name: lab.phase for lab in self.labs.values() for name in lab.experiments}
        self.records = newest_records()
        self.quantities, self.faults = load_quantities(root / "handbook" / "numbers")
        self.reference = Reference.read(root / "handbook" / "numbers" / "reference.json")
        self.shown: defaultdict[str, list[str]] = defaultdict(list)
        """The pages that show the figure of each experiment."""
        self.used: set[str] = set()
        """The quantities that a page shows."""
        self._measured: dict[str, Measured | None] = {}

    def measured(self, name: str) -> Measured | None:
        """Return a quantity from this machine's newest record, else from the reference; None without either."""
        if name not in self._measured:
            quantity = self.quantities[name]
            record = self.records.get(quantity.experiment)
            self._measured[name] = measure(quantity, record) if record else self.reference.get(name)
        return self._measured[name]

    @cached_property
    def runs(self) -> dict[str, Record]:
        """The newest complete run of each phase that left a notebook."""
        newest: dict[str, Record] = {}
        for record in all_records():
            notebook = record.facts.get("notebook")
            if notebook and record.facts["status"] == "complete":
                newest.setdefault(record.facts["phase"], record)
        return newest

    def how_to_measure(self, name: str) -> str:
        """Return the command that makes a record of an experiment."""
        return f"lab run {self.phases.get(name, '')}".strip()


def conditions(facts: Mapping[str, Any]) -> str:
    """Return where and when a run was made, such as `process, 2 cores, profile quick, 28 November 2026`."""
    on = " on PostgreSQL" if facts.get("database") == "postgresql" else ""
    cores = facts["machine"]["cores"]
    return f"{facts['runtime']}{on}, {cores} cores, profile {facts['profile']}, {day(facts['started'])}"


def day(started: str) -> str:
    """Return the day of a time in ISO format, such as `28 November 2026`."""
    moment = datetime.fromisoformat(started)
    return f"{moment.day} {moment:%B %Y}"
