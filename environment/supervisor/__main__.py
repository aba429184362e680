"""`python -m environment.supervisor`, with the specification as the first line on standard input."""

import os
import shutil
import signal
import sys
from contextlib import suppress
from typing import BinaryIO

from environment.errors import LabError
from environment.file_limit import raise_file_limit
from environment.folders import new_folder
from environment.specification import Specification
from environment.supervisor.lifetime import Supervisor
from environment.supervisor.server import in_thread
from environment.verbs import SERVING


def main() -> None:
    """Serve one session, and print a line when verbs reach it."""
    specification = Specification.model_validate_json(_first_line())
    try:
        folder = new_folder()
    except LabError as error:
        sys.exit(str(error))
    raise_file_limit()
    try:
        supervisor = Supervisor(folder, specification)
        log = (folder / "supervisor.log").open("ab")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: in_thread(lambda: supervisor.end(drain=True)))
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        supervisor.serve()
    except LabError as error:
        shutil.rmtree(folder, ignore_errors=True)
        sys.exit(str(error))
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        sys.exit(f"{error}. Is the disk full, or the state folder read-only? `lab doctor` looks.")
    # The process that launched this one may be dead already; then the watchers end the session.
    with suppress(OSError):
        print(SERVING, folder.name, flush=True)
    _write_to(log)
    supervisor.ended.wait()
    supervisor.leave()


def _write_to(log: BinaryIO) -> None:
    """Send all further output to a file: no process reads the other end of our pipe any more."""
    with log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)


def _first_line() -> str:
    """Read byte by byte, so that what follows stays in the pipe for the watcher."""
    line = b""
    while not line.endswith(b"\n"):
        if not (byte := os.read(0, 1)):
            raise SystemExit("The owner ended before it sent what to start.")
        line += byte
    return line.decode()


main()
