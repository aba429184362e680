"""What of a session is still on this machine, found by other means than the environment's own."""

import json
import os
import subprocess
import time
from pathlib import Path

import psutil

RESIDUE_SECONDS = 15.0


def residue(session: str) -> list[str]:
    """Processes, containers, networks, volumes and folders of a session, each named."""
    return [*_processes(session), *_docker_objects(session), *_folders(session)]


def nothing_left(session: str, seconds: float = RESIDUE_SECONDS) -> list[str]:
    """Waits until a session has left nothing; returns what is still there after `seconds`."""
    deadline = time.monotonic() + seconds
    while (left := residue(session)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return left


def descendants(pid: int) -> list[psutil.Process]:
    """All processes that a process has started, whatever they have made of their titles and labels."""
    return psutil.Process(pid).children(recursive=True)


def _processes(session: str) -> list[str]:
    """Processes that carry the session's label, and those that work in its folder: a title destroys the label."""
    folder, found = (Path(os.environ["LAB_STATE"]) / session).resolve(), []
    for process in psutil.process_iter():
        try:
            labelled = process.environ().get("LAB_SESSION") == session
            inside = Path(process.cwd()).is_relative_to(folder)
            if (labelled or inside) and process.status() != "zombie":
                found.append(f"process {process.pid} {' '.join(process.cmdline())}")
        except psutil.Error:
            continue
    return found


def _docker_objects(session: str) -> list[str]:
    if not Path("/var/run/docker.sock").exists():
        return []
    found = []
    for kind, listing in {
        "container": [
            "ps",
            "-a",
            "--filter",
            f"label=lab.session={session}",
            "--format",
            "{{.Names}}",
        ],
        "network": ["network", "ls", "--filter", f"name=lab-{session}", "--format", "{{.Name}}"],
        "volume": ["volume", "ls", "--filter", f"name=lab-{session}", "--format", "{{.Name}}"],
    }.items():
        said = subprocess.run(["docker", *listing], capture_output=True, text=True, timeout=20)
        found += [f"{kind} {name}" for name in said.stdout.split()]
    return found


def _folders(session: str) -> list[str]:
    folder = Path(os.environ["LAB_STATE"]) / session
    return [f"folder {json.dumps(str(folder))}"] if folder.exists() else []
