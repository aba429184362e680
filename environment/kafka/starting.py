"""How one broker starts, in the image and on this machine alike.

It runs inside the image too, where there is nothing but Python's standard library. Its settings are environment
variables: `HOST` and `PORT` to listen on for clients outside, which connect to `OUTSIDE`; `INSIDE` and
`CONTROLLER` are the other listeners' addresses; `DATA_DIR` keeps every event.

The broker works in `DATA_DIR`, and every path that it gets is relative to that. A properties file is Latin-1 with
backslashes as escapes, `log.dirs` is a list with commas, and a class path is a list with colons and wildcards: a folder
of any name would have to be written differently for each of them.
"""

import hashlib
import locale
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

TEMPLATE = Path(__file__).with_name("server.properties")

SETTINGS, JARS = "server.properties", "jars"
"""In `DATA_DIR`: the file that is written at each start, and a link to the folder of jars."""

LOG, META = "log", "meta.properties"
"""In `DATA_DIR`: the folder of the storage, and the file in it that names the cluster."""

STORAGE, ARCHIVE = "storage", "classes.jsa"
"""What `preparing.py` leaves: a storage that is formatted, and an archive of the broker's classes."""

BROKER = "kafka.Kafka"

# About 160 MiB resident with these, in a container of 512.
JVM = (
    *("-Xms64m", "-Xmx256m", "-Xss512k", "-XX:ReservedCodeCacheSize=48m"),
    "-XX:-UsePerfData",  # else a file in /tmp, which stays when the broker is killed
    *("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
    *(
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
    ),
)

CLUSTER = "bWljcm9zZXJ2aWNlcy1sYQ"
"""A cluster's id is 16 bytes in base64. Each session has a cluster and a volume of its own, so all may share one."""


def render(environment: Mapping[str, str]) -> str:
    """Return server.properties for these environment variables. Raises `KeyError` for one that is missing."""
    return Template(TEMPLATE.read_text()).substitute(
        host=environment["HOST"],
        port=environment["PORT"],
        inside=environment["INSIDE"],
        inside_port=environment["INSIDE"].rpartition(":")[2],
        outside=environment["OUTSIDE"],
        controller=environment["CONTROLLER"],
        controller_port=environment["CONTROLLER"].rpartition(":")[2],
    )


def enter(data: Path, java: str, jars: str) -> list[str]:
    """Make a broker's data folder the working folder, write its settings there, and return the command of its Java."""
    os.chdir(data)
    Path(SETTINGS).write_text(render(os.environ))
    Path(JARS).unlink(missing_ok=True)
    Path(JARS).symlink_to(jars)
    if locale.getencoding().lower() != "utf-8":
        os.environ["LC_ALL"] = "C.UTF-8"  # else Java cannot name its own working folder
    # In the order of their names: an archive of classes holds for the same path only.
    path = ":".join(f"{JARS}/{jar.name}" for jar in sorted(Path(jars).glob("*.jar")))
    return [java, *JVM, "-cp", path]


def format_storage(run: Sequence[str]) -> None:
    """Format the storage in the working folder. Raises `subprocess.CalledProcessError`."""
    arguments = ["format", "--cluster-id", CLUSTER, "--config", SETTINGS]
    subprocess.run([*run, "kafka.tools.StorageTool", *arguments], check=True)


def prepared(java: str, jars: str) -> Path:
    """Return the folder of what `preparing.py` leaves for a Java and a folder of jars, whether or not it is there.

    Its name depends on all that a storage and an archive are made of, so that none outlives an update.
    """
    program = Path(shutil.which(java) or java).resolve()
    version = f"{program} {int(program.stat().st_mtime)} {CLUSTER} {JVM} {TEMPLATE.read_text()}"
    return Path(jars) / f"prepared-{hashlib.sha256(version.encode()).hexdigest()[:12]}"


def start(java: str, jars: str) -> None:
    """Format the storage when it is new, then become the broker, so that signals reach it directly."""
    run = enter(Path(os.environ["DATA_DIR"]), java, jars)
    ready = prepared(java, jars)
    # Written last by the formatting, so that one that was broken off is done again.
    if not Path(LOG, META).exists():
        if (ready / STORAGE).is_dir():
            rest = shutil.ignore_patterns(META)
            shutil.copytree(ready / STORAGE, LOG, ignore=rest, dirs_exist_ok=True)
            shutil.copyfile(ready / STORAGE / META, Path(LOG, META))
        else:
            format_storage(run)
    if (ready / ARCHIVE).is_file():
        run.insert(1, f"-XX:SharedArchiveFile={JARS}/{ready.name}/{ARCHIVE}")
    os.execvp(java, [*run, BROKER, SETTINGS])
