"""Small notebooks that do one thing, right or wrong."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}

PARAMETERS = "PROFILE = 'quick'\nRUNTIME = 'auto'\nSEED = 7"

JUDGED = """
from types import SimpleNamespace
import matplotlib.pyplot as plt
from labs.experiments.phase0 import versions
from labs.records import Run
from tests.labs.experiments.phase0 import frames
env = SimpleNamespace(
    phase="phase0", runtime="process", database="sqlite", seed=SEED, running=False
)
run = Run(env, profile=PROFILE)
samples, prediction = frames.versions_samples(), frames.versions_prediction()
"""
"""Cells that need no system: the record of one experiment, from synthetic samples."""

KEPT = "run.keep(versions, samples, prediction)"


def write_lab(folder: Path, *cells: str, phase: str = "phase0") -> Path:
    """A lab of that phase with those code cells."""
    notebook = new_notebook(  # type: ignore[no-untyped-call]
        cells=[
            new_markdown_cell("# Do one thing"),  # type: ignore[no-untyped-call]
            new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),  # type: ignore[no-untyped-call]
            *(new_code_cell(cell) for cell in cells),  # type: ignore[no-untyped-call]
        ],
        metadata={"kernelspec": KERNEL},
    )
    folder.mkdir(exist_ok=True, parents=True)
    path = folder / f"{phase}_toy.ipynb"
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
    return path
