"""Opens JupyterLab on the labs, with this Python as their kernel."""

import os
import subprocess
import sys
from pathlib import Path

from environment.errors import UnknownName

LABS = Path(__file__).parent


def lab_paths() -> dict[str, Path]:
    """The labs by phase, in the course's order: `phase0` and its notebook."""
    return {path.name.partition("_")[0]: path for path in sorted(LABS.glob("phase*.ipynb"))}


def lab_path(phase: str) -> Path:
    """The notebook of a phase. Raises `UnknownName` that lists the phases."""
    labs = lab_paths()
    if phase not in labs:
        raise UnknownName(f"There is no lab of {phase!r}. There are: {', '.join(labs)}.")
    return labs[phase]


def open_lab(phase: str | None, *, browser: bool = True) -> int:
    """Runs JupyterLab in the foreground until it is interrupted; returns its exit code."""
    shown = [str(lab_path(phase))] if phase else []
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={LABS}", *shown]
    quiet = [
        "--LabApp.news_url=None",  # nothing leaves the machine
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    if os.geteuid() == 0:
        quiet.append("--allow-root")
    if not browser:
        quiet.append("--no-browser")
    with subprocess.Popen([*command, *quiet]) as server:
        while True:
            try:
                return server.wait()
            except (
                KeyboardInterrupt
            ):  # it was sent to the server as well, which ends in its own time
                continue
