"""Run records: the files that a run leaves, and how to judge and draw it again from them alone.

A record is a folder `runs/<time>-<phase>-<runtime>/` with `record.json` and, for each experiment, its samples and
prediction (CSV) and its figure (PNG). Every file is written whole or not at all, and `record.json` names a file only
after it exists: a run that is killed leaves a readable record.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import display

from environment.errors import LabError
from labs.answering import Answers
from labs.calibration import Calibration, as_table
from labs.evidence import Evidence, counterexample_of, find_evidence
from labs.experiment import Experiment, find, name_of, until_conclusive
from labs.figures import badge
from labs.guessing import Guesses, Questions
from labs.machine import ROOT, machine, revision, versions
from labs.verdicts import Outcome, Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

FORMAT = 1
"""The version of the format; it grows when code for the older format would misread a new record."""


class RecordError(LabError):
    """Raised for a record that does not exist or cannot be read."""


def runs_folder() -> Path:
    """Return the folder of all runs: the one that `LAB_RUNS` names, else `runs/` of this clone."""
    return Path(os.environ.get("LAB_RUNS") or ROOT / "runs")


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, then move it there in one step."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        write(draft)
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


class RecordFolder:
    """The folder of one record, and the facts in its `record.json`."""

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        self.path = path
        self.facts = facts

    @classmethod
    def create(
        cls, *, phase: str, runtime: str, profile: str, root: Path | None = None, **more: Any
    ) -> RecordFolder:
        """Create a new folder with a record of what is known before a measurement."""
        now = datetime.now().astimezone()
        facts: dict[str, Any] = {
            "format": FORMAT,
            "run": os.environ.get("LAB_RUN"),
            "phase": phase,
            "runtime": runtime,
            "profile": profile,
            "status": "running",
            "started": now.isoformat(timespec="seconds"),
            "seconds": 0.0,
            "memory_mib": None,
            "machine": machine(),
            "versions": versions(),
            "revision": revision(),
            "guesses": {},
            "answers": [],
            "experiments": {},
        }
        path = _new_folder(root or runs_folder(), f"{now:%Y%m%d-%H%M%S}-{phase}-{runtime}")
        record = cls(path, facts | more)
        record.write()
        _point_latest_at(path)
        return record

    def write(self, **changes: Any) -> None:
        """Set these facts, and write all facts to `record.json`."""
        self.facts.update(changes)
        text = json.dumps(self.facts, indent=2, default=_plain)
        write_whole(self.path / "record.json", lambda draft: draft.write_text(text))


class Run:
    """The record of a run in progress.

    Make it after `env.start()`: `Run(env, profile=PROFILE, seconds=9)`. Keyword arguments other than `profile` are the
    run's parameters. `guess` locks a guess, `measure` and `keep` add an experiment, `finish` closes the record. The
    newest run of a process also keeps the answers that `labs.exercises.check` gets.
    """

    def __init__(self, env: Environment, *, profile: str, **parameters: Any) -> None:
        self._env = env
        self._began = time.monotonic()
        self._seconds: dict[str, float] = {}
        self._replaced: dict[str, dict[str, str]] = {}
        self._folder = RecordFolder.create(
            phase=env.phase,
            runtime=env.runtime,
            profile=profile,
            database=env.database,
            seed=env.seed,
            parameters=parameters,
        )
        self._guesses = Guesses(self._folder.facts["guesses"])
        self._evidence: dict[str, Evidence | None] = {}
        facts = self._folder.facts
        Answers.newest = Answers(env.phase, env.seed, facts["answers"], self._folder.write)
        self.note()

    @property
    def path(self) -> Path:
        """The record's folder."""
        return self._folder.path

    def guess(
        self, experiment: Experiment, /, *, sure: object = ..., **quantities: object
    ) -> Questions:
        """Lock a guess into the record, before its experiment is measured: `run.guess(hop, overhead_ms=2, sure=0.8)`.

        Until the measurement a new guess may replace one. With `...` in place of a number the question is displayed,
        and nothing is locked.

        Args:
            experiment: The experiment's module, such as `hop`.
            sure: How sure you are, from 0.5 (a coin toss) to 1 (certain).
            quantities: Your number for each quantity that the experiment asks for.

        Raises:
            GuessError: A name or a number is none, or the experiment was measured already.
        """
        questions = self._guesses.lock(experiment, quantities, sure)
        if questions.new:
            self._folder.write()
        return questions

    def calibration(self) -> Calibration:
        """Return how often the guesses of this run were right, against how sure you were."""
        return self._guesses.calibration()

    def measure(
        self, experiment: Experiment, prediction: pd.DataFrame, *others: Any, **settings: Any
    ) -> pd.DataFrame:
        """Measure an experiment, again while its verdict is inconclusive, and display its figure.

        Calls `experiment.measure(env, *others, **settings)`; each repetition is announced, and its
        samples are appended with the next number in their column `attempt`.

        Args:
            experiment: The experiment's module, such as `hop`.
            prediction: What its `predict` returned.
            others: Further arguments of its `measure`, such as a second environment.
            settings: The keyword arguments of its `measure`.

        Raises:
            GuessError: A person runs this cell, and has not guessed yet (`labs.guessing.asks`).
        """
        self._guesses.require(experiment)
        self._replaced[name_of(experiment.__name__)] = self._env.replacements()
        began = time.monotonic()
        samples = until_conclusive(experiment, prediction, self._env, *others, **settings)
        self._seconds[name_of(experiment.__name__)] = round(time.monotonic() - began, 2)
        self._evidence[name_of(experiment.__name__)] = self._find(experiment, samples, prediction)
        figure = experiment.plot(samples, prediction)
        display(figure)  # type: ignore[no-untyped-call]
        plt.close(figure)
        if comparison := self._guesses.compare(experiment, samples, prediction):
            display(comparison)  # type: ignore[no-untyped-call]
            self._folder.write()
        return samples

    def keep(
        self, experiment: Experiment, samples: pd.DataFrame, prediction: pd.DataFrame
    ) -> Verdict:
        """Judge an experiment and write it to the record: frames, figure, verdict, seconds.

        A verdict that is fail displays the evidence that was found when its samples were measured.
        """
        name = name_of(experiment.__name__)
        verdict = experiment.judge(samples, prediction)
        figure = experiment.plot(samples, prediction)
        finding = next((text.get_text() for text in figure.texts), "")
        badge(figure, verdict)
        write_whole(
            self.path / f"{name}.png", lambda draft: figure.savefig(draft, format="png", dpi=160)
        )
        plt.close(figure)
        self._folder.facts["experiments"][name] = {
            "samples": _write_frame(self.path / f"{name}.csv", samples),
            "prediction": _write_frame(self.path / f"{name}-prediction.csv", prediction),
            "figure": f"{name}.png",
            "title": experiment.TITLE,
            "theory": experiment.THEORY,
            "finding": finding,
            "seconds": self._seconds.get(name),
            "replaced": self._replaced.get(name, {}),
            "verdict": verdict.to_json(),
        }
        self.note()
        found = self._evidence.get(name)
        if verdict.outcome is not Outcome.FAIL or found is None:
            return verdict
        own = found.counterexample == counterexample_of(experiment, samples, prediction)
        return replace(verdict, evidence=found) if own else verdict

    def _find(
        self, experiment: Experiment, samples: pd.DataFrame, prediction: pd.DataFrame
    ) -> Evidence | None:
        """Return the evidence of samples that fail, read now: the block of a fault may remove what logged it."""
        try:
            return find_evidence(self._env, experiment, samples, prediction)
        except Exception:  # whatever is broken in a system that fails, its samples are not lost
            return None

    def __getitem__(self, experiment: Experiment) -> Verdict:
        """Return the verdict that was kept for an experiment."""
        entry = self._folder.facts["experiments"][name_of(experiment.__name__)]
        return Verdict.from_json(entry["verdict"])

    def note(self, **changes: Any) -> None:
        """Write the record, with the time so far and the most memory seen so far."""
        memory = int(self._env.status()["memory_mib"].sum()) if self._env.running else 0
        self._folder.write(
            seconds=round(time.monotonic() - self._began, 2),
            memory_mib=max(memory, self._folder.facts["memory_mib"] or 0) or None,
            **changes,
        )

    def finish(self) -> Run:
        """Close the record of a run that reached its end."""
        self.note(status="complete")
        return self

    def __repr__(self) -> str:
        names = ", ".join(self._folder.facts["experiments"]) or "nothing kept yet"
        return f"run record {_shown(self.path)}: {names}"


class Record:
    """A finished run, to judge and draw again without starting anything."""

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        self.path = path
        self.facts = facts

    @property
    def experiments(self) -> list[str]:
        """The names of the experiments that were kept."""
        return list(self.facts["experiments"])

    def samples(self, name: str) -> pd.DataFrame:
        """Return the raw samples of one experiment, as they were measured."""
        return _read_frame(self.path, self._experiment(name)["samples"])

    def prediction(self, name: str) -> pd.DataFrame:
        """Return the prediction of one experiment."""
        return _read_frame(self.path, self._experiment(name)["prediction"])

    def verdict(self, name: str) -> Verdict:
        """Return the verdict that the run gave."""
        return Verdict.from_json(self._experiment(name)["verdict"])

    def finding(self, name: str) -> str:
        """Return the title of the figure that the run drew, which is what it found; empty in an older record."""
        return str(self._experiment(name).get("finding", ""))

    @property
    def guesses(self) -> pd.DataFrame:
        """The guesses that were locked, a row for each; empty in an older record."""
        return as_table(self.facts.get("guesses", {}))

    def calibration(self) -> Calibration:
        """Return how often the guesses of the run were right, against how sure their author was."""
        return Calibration.of(self.facts.get("guesses", {}))

    def judge(self, name: str) -> Verdict:
        """Return the verdict that the current code gives on the recorded samples."""
        return find(name).judge(self.samples(name), self.prediction(name))

    def plot(self, name: str) -> Figure:
        """Draw the figure of the recorded samples again."""
        figure = find(name).plot(self.samples(name), self.prediction(name))
        badge(figure, self.judge(name))
        return figure

    def _experiment(self, name: str) -> dict[str, Any]:
        kept: dict[str, dict[str, Any]] = self.facts["experiments"]
        if name not in kept:
            names = ", ".join(kept) or "none"
            raise RecordError(f"{self.path} holds no experiment {name!r}; it holds: {names}")
        return kept[name]


def load_record(path: str | Path) -> Record:
    """Return the record in a folder; `runs/latest` is the last one.

    Raises:
        RecordError: The folder holds no record, or one of a newer version.
    """
    folder = Path(path).resolve()
    try:
        facts = json.loads((folder / "record.json").read_text())
    except (OSError, ValueError) as problem:
        raise RecordError(
            f"{path} is not a run record ({problem}); `ls {_shown(runs_folder())}` lists them"
        ) from None
    if facts["format"] > FORMAT:
        raise RecordError(f"{path} was written by a newer version: update this clone to read it")
    return Record(folder, facts)


def _new_folder(root: Path, name: str) -> Path:
    """Create a folder of that name, with a number when a run of the same second has it."""
    root.mkdir(parents=True, exist_ok=True)
    for number in range(1, 1000):
        path = root / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise RecordError(f"{root} holds too many runs named {name}; move some of them away")


def _point_latest_at(path: Path) -> None:
    draft = path.parent / f".latest.{os.getpid()}"
    draft.unlink(missing_ok=True)
    draft.symlink_to(path.name)
    draft.replace(path.parent / "latest")


def _write_frame(path: Path, frame: pd.DataFrame) -> dict[str, Any]:
    """Write a frame, and return what is needed to read it."""
    write_whole(path, lambda draft: frame.to_csv(draft, index=False))
    return {"file": path.name, "types": {name: str(kind) for name, kind in frame.dtypes.items()}}


def _read_frame(folder: Path, entry: Mapping[str, Any]) -> pd.DataFrame:
    return read_frame(folder / entry["file"], entry["types"])


def read_frame(source: Path | IO[bytes], types: Mapping[str, str]) -> pd.DataFrame:
    """Return a frame with the types that it was written with: a version "1" stays a text."""
    texts = [name for name, kind in types.items() if kind in ("str", "object")]
    frame = pd.read_csv(
        source,
        dtype=dict(types) | dict.fromkeys(texts, "str"),
        keep_default_na=False,
        na_values={name: [""] for name in types if name not in texts},
    )
    return frame


def _plain(value: Any) -> Any:
    """Return a NumPy number as a Python number, for JSON."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written to a record")


def _shown(path: Path) -> Path:
    """Return a path relative to the current folder, where it lies in it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
