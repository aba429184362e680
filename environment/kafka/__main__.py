"""The start of one broker: `python -m environment.kafka JAVA JARS`, in the image and on this machine alike.

It runs inside the image too, where there is nothing but Python's standard library. Its settings are environment
variables: `HOST` and `PORT` to listen on for clients outside, which connect to `OUTSIDE`; `INSIDE` and
`CONTROLLER` are the other listeners' addresses; `DATA_DIR` keeps every event.

The broker works in `DATA_DIR`, and every path that it gets is relative to that. A properties file is Latin-1 with
backslashes as escapes, `log.dirs` is a list with commas, and a class path is a list with colons and wildcards: a folder
of any name would have to be written differently for each of them.
"""

import locale
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from string import Template

TEMPLATE = Path(__file__).with_name("server.properties")

SETTINGS, JARS = "server.properties", "jars"
"""In `DATA_DIR`: the file that is written at each start, and a link to the folder of jars."""

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


def main(java: str, jars: str) -> None:
    """Format the storage when it is new, then become the broker, so that signals reach it directly."""
    os.chdir(os.environ["DATA_DIR"])
    Path(SETTINGS).write_text(render(os.environ))
    Path(JARS).unlink(missing_ok=True)
    Path(JARS).symlink_to(jars)
    if locale.getencoding().lower() != "utf-8":
        os.environ["LC_ALL"] = "C.UTF-8"  # else Java cannot name its own working folder
    run = [java, *JVM, "-cp", f"{JARS}/*"]
    # Written last by the formatting, so that one that was broken off is done again.
    if not Path("log/meta.properties").exists():
        arguments = ["format", "--cluster-id", CLUSTER, "--config", SETTINGS]
        subprocess.run([*run, "kafka.tools.StorageTool", *arguments], check=True)
    os.execvp(java, [*run, "kafka.Kafka", SETTINGS])


if __name__ == "__main__":
    main(*sys.argv[1:])
