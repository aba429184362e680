"""What is odd about one bundle, as flags for an instructor: each is a reason to look, and none is a judgement."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from labs.grading.bundle import CODE, MANIFEST, code_of, sha256
from labs.grading.course import labs, module_hashes
from labs.grading.reading import Bundle, header_of, student_of
from labs.verdicts import Verdict

SLACK_SECONDS = 15.0
"""By how much the clocks of a run may differ, and how much earlier a window of time may begin."""

UNIX_TIME = 1e9
"""A number of seconds from here on is a time, and no duration."""

DURATIONS = ("latency", "lag", "accept", "waited", "took")
"""Columns of seconds that cannot be negative."""

FEW_LATENCIES = 20
"""From this number of latencies on, they cannot all be the same."""


class Flag(NamedTuple):
    """A reason to look at a bundle: a word for its kind, and a sentence's part for its detail."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


def manifest_flags(bundle: Bundle) -> Iterator[Flag]:
    """Yield what is wrong between the manifest and the files."""
    if not student_of(bundle.manifest):
        yield Flag("manifest", "it names no student")
    if bundle.manifest.get("phase") != bundle.phase:
        yield Flag("manifest", "it names another phase than the run's record")
    stated = bundle.manifest.get("files")
    stated = stated if isinstance(stated, dict) else {}
    present = {name for name in bundle.files if name != MANIFEST}
    edited = [name for name in sorted(present & set(stated)) if _edited(bundle, stated, name)]
    if edited:
        yield Flag("edited", f"{_some(edited)} differs from the hash in the manifest")
    if missing := sorted(map(str, set(stated) - present)):
        yield Flag("missing", f"{_some(missing)} is in the manifest only")
    if extra := sorted(present - set(stated)) + bundle.odd:
        yield Flag("extra", f"{_some(extra)} is not in the manifest, or belongs to no bundle")


def _edited(bundle: Bundle, stated: Mapping[str, Any], name: str) -> bool:
    return bool(sha256(bundle.files[name]) != stated[name])


def course_flags(bundle: Bundle) -> Iterator[Flag]:
    """Yield the modules of the course that differ from this clone's."""
    course = bundle.manifest.get("course")
    stated = course.get("modules") if isinstance(course, dict) else None
    if not isinstance(stated, dict):
        yield Flag("manifest", "it states no version of the course")
        return
    here = module_hashes(bundle.phase)
    names = sorted(set(map(str, stated)) | set(here))
    if differing := [name for name in names if stated.get(name) != here.get(name)]:
        yield Flag("course", f"another version of {_some(differing)}")


def code_flags(bundle: Bundle) -> Iterator[Flag]:
    """Yield the experiments whose cells that measure and judge are not those of this clone's notebook."""
    if CODE not in bundle.files:
        return
    code = bundle.files[CODE].decode(errors="replace")
    lab = labs()[bundle.phase]
    cells = code_of(json.loads(lab.path.read_text(encoding="utf-8"))).split("# %% cell ")
    changed = {
        name
        for name in lab.experiments
        for cell in cells
        if f"run.measure({name}," in cell or f"run.keep({name}," in cell
        if cell.partition("\n")[2].strip() not in code
    }
    if changed:
        yield Flag("code", f"the cells that measure or keep {_some(sorted(changed))} were changed")


def verdict_flags(
    name: str, stored: Mapping[str, Any], given: Verdict, *, same_course: bool
) -> Iterator[Flag]:
    """Yield how a stored verdict differs from the one on the samples.

    Another version of the course may word or count otherwise, so that only the outcome is compared then.
    """
    outcome = str(stored.get("outcome"))
    if outcome != given.outcome.value:
        yield Flag("verdict", f"{name} was handed in as {outcome[:20]}")
    elif same_course and _plain(stored.get("details")) != _plain(given.details):
        yield Flag("numbers", f"the numbers of the stored verdict on {name} are of other samples")
    elif same_course and list(stored.get("reasons", ())) != list(given.reasons):
        yield Flag("verdict", f"{name} was handed in with other reasons")


def _plain(details: Any) -> str:
    """Return the details of a verdict as text, in which numbers agree that differ only in their last digits."""
    return json.dumps(_rounded(details), sort_keys=True, default=str)


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    value = value.item() if hasattr(value, "item") else value
    return float(f"{value:.6g}") if isinstance(value, float) else value


def sample_flags(
    name: str, bundle: Bundle, samples: pd.DataFrame, prediction: pd.DataFrame
) -> Iterator[Flag]:
    """Yield what no run can have measured."""
    if extra := [
        each for each in header_of(bundle.files[f"samples/{name}.csv"]) if each not in samples
    ]:
        yield Flag("columns", f"{name} has the further column {_some(extra)}")
    if len(samples) < max(2, len(prediction)):
        yield Flag("few", f"{name} has {len(samples)} samples for {len(prediction)} predicted rows")
    numbers = samples.select_dtypes("float64")
    if empty := [str(column) for column in numbers if samples[column].isna().all()]:
        yield Flag("empty", f"{name} has no number in {_some(empty)}")
    attempts = sorted(set(samples["attempt"])) if "attempt" in samples else []
    if attempts != list(range(1, len(attempts) + 1)):
        yield Flag("attempts", f"{name} lacks one of its attempts")
    yield from (
        Flag("impossible", f"{name}: {text}") for text in _impossible(numbers, bundle.record)
    )


def replaced_flags(name: str, entry: Mapping[str, Any]) -> Iterator[Flag]:
    """Yield that code of the student ran in the services while an experiment was measured."""
    replaced = entry.get("replaced")
    if isinstance(replaced, dict) and replaced:
        functions = [f"{service}: {function}" for service, function in sorted(replaced.items())]
        yield Flag("replaced", f"{name} was measured with the student's {_some(functions)}")


def _impossible(numbers: pd.DataFrame, record: Mapping[str, Any]) -> Iterator[str]:
    began = datetime.fromisoformat(str(record["started"])).timestamp()
    ended = began + float(record["seconds"])
    for column, values in numbers.items():
        known = values[np.isfinite(values)]
        if known.empty:
            continue
        is_time = known.median() > UNIX_TIME
        within = began - SLACK_SECONDS <= known.min() and known.max() <= ended + SLACK_SECONDS
        if is_time and not within:
            yield f"times in {column} are not within the run"
        if column in DURATIONS and known.min() < 0:
            yield f"a negative {column}"
        if column == "latency" and len(known) >= FEW_LATENCIES and known.nunique() <= 2:
            yield "all latencies are the same"


def _some(names: list[str], most: int = 3) -> str:
    """Return some names, as far as they can be printed, and how many more there are."""
    shown = [ascii(name)[1:-1][:80] for name in names[:most]]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(shown) + more
