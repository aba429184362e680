"""The process in which one submitted source is checked: `python -I child.py`, started by `labs/grading/mechanisms.py`.

It reads a JSON object from standard input, sets its limits when everything but the submitted code is loaded, and writes
a line before each check and one at the end. The submitted code runs in this process: its limits end a mistake, and
nothing here stops an attack.
"""

import asyncio
import importlib
import inspect
import json
import math
import os
import resource
import runpy
import sys
import time
from collections.abc import Callable
from typing import Any

CPU_SECONDS = 5
MEMORY_BYTES = 2 << 30
FILE_BYTES = 1 << 20
OPEN_FILES = 64

LIMITS = {
    resource.RLIMIT_CPU: CPU_SECONDS,
    resource.RLIMIT_AS: MEMORY_BYTES,
    resource.RLIMIT_FSIZE: FILE_BYTES,
    resource.RLIMIT_NOFILE: OPEN_FILES,
    resource.RLIMIT_CORE: 0,
}


def main() -> None:
    """Check the source that standard input describes."""
    task = json.loads(sys.stdin.read())
    out = os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)

    def report(**line: Any) -> None:
        out.write(json.dumps({"key": task["key"], **line}) + "\n")
        out.flush()

    try:
        sys.path.insert(0, task["root"])
        _check(task, report)
    except BaseException as error:  # whatever the submitted code raises, also SystemExit
        report(end="wrong", error=_line(error))
    os._exit(0)  # threads and handlers of the submitted code do not keep this process


def _check(task: dict[str, str], report: Callable[..., None]) -> None:
    from microservices.kit.replacement import replacing

    checks = runpy.run_path(task["checks"])["CHECKS"]
    _limit()
    given = json.dumps({name: task[name] for name in ("module", "name", "source")})
    report(check="It cannot be imported by the service.")
    with replacing(given, task["module"].rpartition(".")[0]):
        module = importlib.import_module(task["module"])
    for check in checks:
        report(check=inspect.getdoc(check) or check.__name__)
        outcome = check(module)
        if inspect.isawaitable(outcome):
            asyncio.run(_awaited(outcome))
    report(end="right")


def _limit() -> None:
    """Set the limits of this process; what the checks took to load does not count."""
    taken = math.ceil(time.process_time())
    for kind, most in LIMITS.items():
        most += taken if kind == resource.RLIMIT_CPU else 0
        try:
            resource.setrlimit(kind, (most, most))
        except (ValueError, OSError):  # a system without this limit
            continue


async def _awaited(outcome: Any) -> None:
    await outcome


def _line(error: BaseException) -> str:
    """Return an error as one short line; an assertion of a check needs none."""
    if isinstance(error, AssertionError):
        return ""
    text = ascii(" ".join(str(error).split()))[1:-1]
    return f"{type(error).__name__}: {text[:120]}"


if __name__ == "__main__":
    main()
