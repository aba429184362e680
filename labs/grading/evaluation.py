"""Evaluates one bundle: reads it, judges its samples anew, and lists what is odd about it."""

from __future__ import annotations

import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labs.exercises.checking import DEFAULT_SEED
from labs.experiment import find, modules
from labs.grading.answers import check_answers
from labs.grading.contributions import Answered, Guessed, answers_in, guesses_in
from labs.grading.copies import Columns, Handed, columns_of
from labs.grading.course import labs
from labs.grading.flags import (
    Flag,
    code_flags,
    course_flags,
    manifest_flags,
    replaced_flags,
    sample_flags,
    verdict_flags,
)
from labs.grading.mechanisms import graded
from labs.grading.predictions import predicted, same
from labs.grading.reading import Bundle, BundleError, read_bundle, student_of
from labs.verdicts import Verdict

MOST_SECONDS = 30.0
"""Limit of one bundle, which takes less than one second when nobody has tampered with it."""

MOST_RUN_SECONDS = 86_400
"""A day: a run takes minutes, and hours when a student pauses between the cells."""

MISSING, UNREADABLE = "missing", "unreadable"
"""Verdicts on an experiment that was not handed in, and on one whose samples cannot be judged."""


class OutOfTime(BaseException):
    """Raised in a judge that takes longer than its limit; no `except Exception` catches it."""


@dataclass
class Grade:
    """What the grader found out about one bundle.

    `verdicts` holds every experiment of the phase, `answers` every exercise, and `mechanisms` every mechanism to write.
    """

    file: str
    student: str = ""
    phase: str = ""
    verdicts: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    mechanisms: dict[str, str] = field(default_factory=dict)
    flags: list[Flag] = field(default_factory=list)
    run_seconds: float | None = None
    profile: str = ""
    seed: int | None = None
    run: tuple[str, ...] = ()
    columns: dict[str, Columns] = field(default_factory=dict)
    guesses: list[Guessed] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    seconds: float = 0.0
    rerun: str = ""

    @property
    def passed(self) -> int:
        """The number of experiments that pass."""
        return sum(verdict == "pass" for verdict in self.verdicts.values())

    @property
    def handed(self) -> Handed:
        """What is compared with other bundles."""
        return Handed(self.student, self.phase, self.run, self.columns)


def evaluate(
    path: Path,
    file: str,
    seeds: Mapping[str, int] | None = None,
    *,
    runs_code: bool = True,
) -> Grade:
    """Return the grade of one bundle's file; whatever is wrong with it becomes a flag.

    Args:
        path: The bundle.
        file: Its name in the grade.
        seeds: The seed that each student was given.
        runs_code: Whether the functions that the student wrote are run against their checks.
    """
    began = time.monotonic()
    grade = Grade(file)
    try:
        with _limited(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            bundle = read_bundle(path)
            _evaluate(bundle, grade, seeds)
            if runs_code:
                grade.mechanisms = graded(bundle)
    except BundleError as problem:
        grade.flags.append(Flag(UNREADABLE, str(problem)))
    except OutOfTime:
        grade.flags.append(Flag(UNREADABLE, f"it took longer than {MOST_SECONDS:.0f} s"))
    except (Exception, MemoryError) as problem:  # one bundle never ends the grading of the others
        grade.flags.append(Flag(UNREADABLE, f"it holds something unexpected ({_line(problem)})"))
    grade.seconds = round(time.monotonic() - began, 3)
    return grade


def _evaluate(bundle: Bundle, grade: Grade, seeds: Mapping[str, int] | None) -> None:
    grade.student = student_of(bundle.manifest)
    if bundle.phase not in labs():
        raise BundleError("it is of a phase that this course does not have")
    grade.phase, record = bundle.phase, bundle.record
    grade.flags += manifest_flags(bundle)
    course = list(course_flags(bundle))
    grade.flags += course
    _read_facts(grade, record)
    if record.get("status") != "complete":
        grade.flags.append(Flag("manifest", "its run is not complete"))
    for name in _names(bundle):
        grade.guesses += guesses_in(bundle, name)
        _judge(name, bundle, grade, same_course=not course)
    given = (seeds or {}).get(grade.student, grade.seed)
    seed = DEFAULT_SEED if given is None else given
    grade.answers, odd = check_answers(record, grade.phase, seed)
    grade.flags += odd
    grade.answered += answers_in(bundle, seed)
    grade.flags += code_flags(bundle)
    if seeds is not None:
        grade.flags += _seed_flags(grade, seeds)


def _read_facts(grade: Grade, record: Mapping[str, Any]) -> None:
    seconds, seed = record.get("seconds"), record.get("seed")
    if isinstance(seconds, int | float) and 0 < seconds < MOST_RUN_SECONDS:
        grade.run_seconds = float(seconds)
    else:
        grade.flags.append(Flag("manifest", "its run has no length that a run can have"))
    grade.seed = seed if isinstance(seed, int) else None
    grade.profile = str(record.get("profile", ""))[:20]
    started = (str(record.get("started")), str(seconds))
    grade.run = (str(record["run"]),) if record.get("run") else started


def _names(bundle: Bundle) -> list[str]:
    """Return the experiments of the phase in this clone, and further ones that the bundle holds and this clone has."""
    expected = labs()[bundle.phase].experiments
    known = [name for name in bundle.record["experiments"] if name in modules()]
    return list(dict.fromkeys([*expected, *known]))


def _judge(name: str, bundle: Bundle, grade: Grade, *, same_course: bool) -> None:
    """Give a verdict on the samples of one experiment, and flag what is odd about them."""
    entry = bundle.record["experiments"].get(name)
    if entry is None:
        grade.verdicts[name] = MISSING
        return
    grade.verdicts[name] = UNREADABLE
    try:
        samples, prediction = bundle.samples(name), bundle.prediction(name)
        grade.flags += sample_flags(name, bundle, samples, prediction)
        grade.flags += replaced_flags(name, entry)
        grade.columns[name] = columns_of(samples)
        ours = _ours(name, bundle, grade)
        verdict: Verdict = find(name).judge(samples, prediction if ours is None else ours)
    except BundleError as problem:
        grade.flags.append(Flag(UNREADABLE, str(problem)))
        return
    except Exception as problem:  # a judge may raise anything on samples that no run has measured
        grade.flags.append(Flag(UNREADABLE, f"{name} cannot be judged ({_line(problem)})"))
        return
    grade.verdicts[name] = verdict.outcome.value
    stored = entry.get("verdict")
    grade.flags += verdict_flags(
        name, stored if isinstance(stored, dict) else {}, verdict, same_course=same_course
    )


def _ours(name: str, bundle: Bundle, grade: Grade) -> Any:
    """Return this clone's prediction where the bundle has another one, which is flagged."""
    prediction = bundle.prediction(name)
    try:
        ours = predicted(name, prediction, bundle.record)
    except Exception:  # inputs that no prediction states
        grade.flags.append(Flag("prediction", f"that of {name} has inputs that are impossible"))
        return None
    if ours is None or same(ours, prediction):
        return None
    grade.flags.append(Flag("prediction", f"that of {name} is not what this course predicts"))
    return ours


def _seed_flags(grade: Grade, seeds: Mapping[str, int]) -> Iterator[Flag]:
    if grade.student not in seeds:
        yield Flag("seed", "no seed was given to this student")
    elif grade.seed != seeds[grade.student]:
        yield Flag("seed", f"the run used {grade.seed}, not {seeds[grade.student]}")


def _line(problem: BaseException) -> str:
    """Return an exception as one short line that can be printed anywhere."""
    text = ascii(" ".join(str(problem).split()))[1:-1]
    return f"{type(problem).__name__}: {text[:120]}"


@contextmanager
def _limited() -> Iterator[None]:
    """Raise `OutOfTime` after the limit, where a process can interrupt itself."""
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, stop)
    others = signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *others)
        signal.signal(signal.SIGALRM, before)
