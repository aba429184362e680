"""Run records: what a run leaves behind, and how to judge and draw it again from that alone.

A record is a folder `runs/<time>-<phase>-<runtime>/` with `record.json` and, per experiment, its
samples and prediction (CSV) and its figure (PNG). Every file is written whole or not at all, and
`record.json` names a file only once it is there: a run that dies leaves a readable record.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import display

from environment.errors import LabError
from labs.experiment import Experiment, find, name_of, until_conclusive
from labs.figures import badge
from labs.machine import ROOT, machine, revision, versions
from labs.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from environment import Environment

FORMAT = 1
"""Grows when a reader of older records would misread a new one."""


class RecordError(LabError):
    """A record that is not there, or that cannot be read."""


def runs_folder() -> Path:
    """Where runs are kept: the folder `LAB_RUNS` names, else `runs/` of this clone."""
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
        """A new folder with a record of what is known before anything was measured."""
        now = datetime.now().astimezone()
        facts = {
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
            "experiments": {},
        }
        path = _new_folder(root or runs_folder(), f"{now:%Y%m%d-%H%M%S}-{phase}-{runtime}")
        record = cls(path, facts | more)
        record.write()
        _point_latest_at(path)
        return record

    def write(self, **changes: Any) -> None:
        """Set these facts, and write all of them."""
        self.facts.update(changes)
        text = json.dumps(self.facts, indent=2, default=_plain)
        write_whole(self.path / "record.json", lambda draft: draft.write_text(text))


class Run:
    """The record of a run that is under way.

    `Run(env, profile=..., seconds=...)` after `env.start()`; further keywords are the run's
    parameters. `keep` adds an experiment, `finish` closes the record.
    """

    def __init__(self, env: Environment, *, profile: str, **parameters: Any) -> None:
        self._env = env
        self._began = time.monotonic()
        self._seconds: dict[str, float] = {}
        self._folder = RecordFolder.create(
            phase=env.phase,
            runtime=env.runtime,
            profile=profile,
            seed=env.seed,
            parameters=parameters,
        )
        self.note()

    @property
    def path(self) -> Path:
        """The record's folder."""
        return self._folder.path

    def measure(
        self, experiment: Experiment, prediction: pd.DataFrame, *others: Any, **settings: Any
    ) -> pd.DataFrame:
        """Measure an experiment, while the verdict is inconclusive again, and display the figure.

        Calls `experiment.measure(env, *others, **settings)`; each repetition is announced, and its
        samples are appended with the next number in their column `attempt`.

        Args:
            experiment: The experiment's module, such as `hop`.
            prediction: What its `predict` returned.
            others: What its `measure` takes beside the environment, such as a second environment.
            settings: The keyword arguments of its `measure`.
        """
        began = time.monotonic()
        samples = until_conclusive(experiment, prediction, self._env, *others, **settings)
        self._seconds[name_of(experiment.__name__)] = round(time.monotonic() - began, 2)
        figure = experiment.plot(samples, prediction)
        display(figure)  # type: ignore[no-untyped-call]
        plt.close(figure)
        return samples

    def keep(
        self, experiment: Experiment, samples: pd.DataFrame, prediction: pd.DataFrame
    ) -> Verdict:
        """Judge an experiment and write it to the record: frames, figure, verdict, seconds."""
        name = name_of(experiment.__name__)
        verdict = experiment.judge(samples, prediction)
        figure = experiment.plot(samples, prediction)
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
            "seconds": self._seconds.get(name),
            "verdict": verdict.to_json(),
        }
        self.note()
        return verdict

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
        """Close the record: the run went through to its end."""
        self.note(status="complete")
        return self

    def __repr__(self) -> str:
        names = ", ".join(self._folder.facts["experiments"]) or "nothing kept yet"
        return f"run record {_shown(self.path)}: {names}"


class Record:
    """A run to look at again. Nothing is started to judge or draw it."""

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        self.path = path
        self.facts = facts

    @property
    def experiments(self) -> list[str]:
        """The names of the experiments that were kept."""
        return list(self.facts["experiments"])

    def samples(self, name: str) -> pd.DataFrame:
        """The raw samples of one experiment, as they were measured."""
        return _read_frame(self.path, self._experiment(name)["samples"])

    def prediction(self, name: str) -> pd.DataFrame:
        """What was predicted for one experiment."""
        return _read_frame(self.path, self._experiment(name)["prediction"])

    def verdict(self, name: str) -> Verdict:
        """The verdict that was given then."""
        return Verdict.from_json(self._experiment(name)["verdict"])

    def judge(self, name: str) -> Verdict:
        """The verdict that today's judge gives on the recorded samples."""
        return find(name).judge(self.samples(name), self.prediction(name))

    def plot(self, name: str) -> Figure:
        """The figure of the recorded samples, drawn again."""
        figure = find(name).plot(self.samples(name), self.prediction(name))
        badge(figure, self.judge(name))
        return figure

    def _experiment(self, name: str) -> dict[str, Any]:
        kept: dict[str, dict[str, Any]] = self.facts["experiments"]
        if name not in kept:
            known = ", ".join(kept) or "none"
            raise RecordError(f"{self.path} holds no experiment {name!r}; it holds: {known}")
        return kept[name]


def load_record(path: str | Path) -> Record:
    """The record in that folder (`runs/latest` for the last one). Raises `RecordError`."""
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
    """A folder of that name, numbered when another run of the same second has it."""
    root.mkdir(parents=True, exist_ok=True)
    for number in range(1, 1000):
        path = root / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise RecordError(f"{root} holds too many runs named {name}")


def _point_latest_at(path: Path) -> None:
    draft = path.parent / f".latest.{os.getpid()}"
    draft.unlink(missing_ok=True)
    draft.symlink_to(path.name)
    draft.replace(path.parent / "latest")


def _write_frame(path: Path, frame: pd.DataFrame) -> dict[str, Any]:
    """Write a frame; returns what reading it back needs."""
    write_whole(path, lambda draft: frame.to_csv(draft, index=False))
    return {"file": path.name, "types": {name: str(kind) for name, kind in frame.dtypes.items()}}


def _read_frame(folder: Path, entry: Mapping[str, Any]) -> pd.DataFrame:
    """Read a frame with the types it was written with: a version "1" stays a text."""
    types = entry["types"]
    texts = [name for name, kind in types.items() if kind in ("str", "object")]
    frame = pd.read_csv(
        folder / entry["file"],
        dtype=types | dict.fromkeys(texts, "str"),
        keep_default_na=False,
        na_values={name: [""] for name in types if name not in texts},
    )
    return frame


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's, for JSON."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written to a record")


def _shown(path: Path) -> Path:
    """A path as short as it can be said from here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
