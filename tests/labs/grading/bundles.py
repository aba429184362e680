"""Bundles of synthetic runs, honest ones and such as somebody has tampered with."""

import io
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd

from labs.experiment import find
from labs.grading import bundle
from labs.grading.course import labs
from labs.records import RecordFolder, _write_frame
from tests.labs.experiments.phase0 import frames
from tests.labs.experiments.phase1 import front_frames, gateway_frames
from tests.labs.experiments.phase4 import delivery_frames, event_frames

BEGAN = 1.7e9
"""The time of the synthetic frames."""

FRAMES: dict[str, dict[str, tuple[pd.DataFrame, pd.DataFrame]]] = {
    "phase0": {
        "independence": (frames.independence_samples(), frames.independence_prediction()),
        "versions": (frames.versions_samples(), frames.versions_prediction()),
    },
    "phase1": {
        "hop": (front_frames.hop_samples(), front_frames.hop_prediction()),
        "rate_limit": (gateway_frames.rate_limit_samples(), gateway_frames.rate_limit_prediction()),
    },
    "phase4": {
        "accept_and_done": (
            event_frames.accept_and_done_samples(),
            event_frames.accept_and_done_prediction(),
        ),
        "duplicates": (
            delivery_frames.duplicates_samples(),
            delivery_frames.duplicates_prediction(),
        ),
    },
}

Files = dict[str, bytes]
"""The files of a bundle, by their names."""


def measured(samples: pd.DataFrame, number: int) -> pd.DataFrame:
    """The samples as run `number` would have measured them: later, and each duration a little longer."""
    random, changed = np.random.default_rng(number), samples.copy()
    for name, values in samples.select_dtypes("float64").items():
        if values.median() > 1e9:
            changed[name] = values + 1000.0 * number
        elif values.nunique() > 1:
            changed[name] = values * (1 + 1e-2 * random.random(len(values)))
    return changed


def write_run(root: Path, phase: str, number: int, **facts: Any) -> Path:
    """A complete record of a phase, with the code cells of its notebook; `facts` replace those of the record."""
    record = RecordFolder.create(phase=phase, runtime="process", profile="quick", root=root)
    for name, (samples, prediction) in FRAMES[phase].items():
        samples = measured(samples, number)
        record.facts["experiments"][name] = {
            "samples": _write_frame(record.path / f"{name}.csv", samples),
            "prediction": _write_frame(record.path / f"{name}-prediction.csv", prediction),
            "verdict": find(name).judge(samples, prediction).to_json(),
        }
    notebook = nbformat.read(labs()[phase].path, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.write(notebook, record.path / "lab.ipynb")  # type: ignore[no-untyped-call]
    started = datetime.fromtimestamp(BEGAN - 1 + 1000 * number, UTC)
    record.write(
        **{
            "run": f"run-{number}",
            "seed": 7,
            "status": "complete",
            "notebook": "lab.ipynb",
            "started": started.isoformat(timespec="seconds"),
            "seconds": 30.0,
            **facts,
        }
    )
    return record.path


def hand_in(run: Path, student: str, out: Path) -> Path:
    """The bundle of a run."""
    phase = json.loads((run / "record.json").read_text())["phase"]
    bundle.hand_in(phase, student=student, out=out, run=run)
    return out


def unpack(path: Path) -> Files:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def signed(files: Files, **changes: Any) -> Files:
    """The files with a manifest that states their hashes, as somebody would write it who knows the format."""
    manifest = json.loads(files["manifest.json"])
    manifest["files"] = {
        name: bundle.sha256(data) for name, data in files.items() if name != "manifest.json"
    }
    return files | {"manifest.json": json.dumps(manifest | changes).encode()}


def with_samples(
    files: Files, name: str, change: Callable[[pd.DataFrame], pd.DataFrame], folder: str = "samples"
) -> Files:
    """The files with other samples of an experiment."""
    path = f"{folder}/{name}.csv"
    table = pd.read_csv(io.BytesIO(files[path]), keep_default_na=False)
    return files | {path: change(table).to_csv(index=False).encode()}


def with_record(files: Files, change: Callable[[dict[str, Any]], object]) -> Files:
    """The files with a changed record."""
    record = json.loads(files["record.json"])
    change(record)
    return files | {"record.json": json.dumps(record).encode()}


def judged_again(files: Files, name: str) -> Files:
    """The files with the verdict that the changed samples give, as somebody would store it who runs the judge."""
    from labs.grading.reading import table

    def store(record: dict[str, Any]) -> None:
        entry = record["experiments"][name]
        samples = table(files[f"samples/{name}.csv"], entry["samples"]["types"])
        prediction = table(files[f"predictions/{name}.csv"], entry["prediction"]["types"])
        entry["verdict"] = find(name).judge(samples, prediction).to_json()

    return signed(with_record(files, store))
