"""Prepares the start of brokers, once for all of them: `python -m environment.kafka.preparing JAVA JARS`.

The image is built with it, and a machine does it before the first broker that it starts as a process. It leaves a
folder among the jars with two things: a storage that is formatted, and an archive of the broker's classes, which Java
maps into memory and then neither unpacks nor verifies (JEP 310). A new broker then serves after 1.5 s, instead of
3.3 s. A broker starts without them too, and Java ignores an archive that was made with another Java or other jars.

It runs inside the image too, where there is nothing but Python's standard library.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from environment.kafka.starting import (
    ARCHIVE,
    BROKER,
    LOG,
    SETTINGS,
    STORAGE,
    enter,
    format_storage,
    prepared,
)

SECONDS = 60.0
"""Longest wait for each of the steps, which take one to three seconds."""

SERVES = "Kafka Server started"
"""What a broker logs when it serves."""

CLASSES = "classes.txt"


def prepare(java: str, jars: str) -> None:
    """Prepare the start of brokers, in the folder of jars. The working folder changes.

    Raises:
        OSError: The folder cannot be written, or the broker did not serve.
        subprocess.SubprocessError: Java ended with an error, or did not end in time.
    """
    with tempfile.TemporaryDirectory(prefix="preparing-", dir=jars) as scratch:
        data, made = Path(scratch, "data"), Path(scratch, "made")
        data.mkdir()
        made.mkdir()
        os.environ.update(_addresses())
        run = enter(data, java, jars)
        try:
            format_storage(run)
            shutil.copytree(LOG, made / STORAGE)
            _list_classes(run)
            archive = [f"-XX:SharedClassListFile={CLASSES}", f"-XX:SharedArchiveFile={ARCHIVE}"]
            command = [run[0], "-Xshare:dump", *archive, *run[1:]]
            subprocess.run(command, check=True, timeout=SECONDS, stdout=subprocess.DEVNULL)
            shutil.copyfile(ARCHIVE, made / ARCHIVE)
            for file in (each for each in made.rglob("*") if each.is_file()):
                file.chmod(0o644)  # the image's user reads what root has made
        finally:
            os.chdir(jars)  # the scratch folder could not be removed from within it
        try:
            made.rename(prepared(java, jars))
        except OSError:
            if not prepared(java, jars).is_dir():  # as it is when another session was faster
                raise


def _list_classes(run: Sequence[str]) -> None:
    """Run a broker until it serves, so that Java lists the classes that it loads."""
    extra = [f"-XX:DumpLoadedClassList={CLASSES}", "-Dorg.slf4j.simpleLogger.log.kafka.server=info"]
    command = [run[0], *extra, *run[1:], BROKER, SETTINGS]
    with ExitStack() as stack:
        broker = stack.enter_context(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
        stack.callback(broker.kill)
        limit = threading.Timer(SECONDS, broker.kill)
        limit.start()
        stack.callback(limit.cancel)
        assert broker.stdout
        if not any(SERVES in line for line in broker.stdout):
            raise OSError(f"the broker ended before it served, or did not serve in {SECONDS:.0f} s")
        broker.terminate()
        broker.communicate(timeout=SECONDS)


def _addresses() -> dict[str, str]:
    """Return the broker's settings of addresses, on free ports of this machine."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        outside, inside, controller = (f"127.0.0.1:{one.getsockname()[1]}" for one in sockets)
    return {
        "HOST": "127.0.0.1",
        "PORT": outside.rpartition(":")[2],
        "OUTSIDE": outside,
        "INSIDE": inside,
        "CONTROLLER": controller,
    }


if __name__ == "__main__":
    prepare(*sys.argv[1:])
