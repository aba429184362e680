"""Opens JupyterLab on the labs, with this Python as their kernel."""

import os
import subprocess
import sys

from labs.running.notebooks import FOLDER, choose


def open_lab(phase: str | None, *, browser: bool = True) -> int:
    """Runs JupyterLab in the foreground until it is interrupted; returns its exit code.

    Raises `UnknownName` for a phase that has no lab.
    """
    shown = [str(choose([phase])[0].path)] if phase else []
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={FOLDER}", *shown]
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
