"""Runs the functions and classes that a bundle's code hands in against quick checks that no student has.

A handed-in source is a cell `%%replace SERVICE TARGET`, or the argument of `replaced(TARGET, ...)` in a cell; for a
mechanism that is no part of a service, the cell that defines the function. It is read here and run in a process of its
own, `labs/grading/child.py`, in which the service's or the lab's module has the submitted definition. The checks lie in
`tests/mutants/replaced/ID/checks.py`; a clone without them checks nothing.
"""

from __future__ import annotations

import ast
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from environment.errors import LabError
from environment.replacing import Replacement
from labs.grading.bundle import CODE
from labs.grading.reading import Bundle
from labs.machine import ROOT
from labs.mechanisms import Mechanism, every_mechanism
from labs.mechanisms.cells import MAGIC, of_function, plain, tree_of

FOLDER = ROOT / "tests" / "mutants" / "replaced"
"""For each mechanism a folder with its checks, its reference answer and its wrong twins."""

CHILD = Path(__file__).with_name("child.py")

SECONDS = 6.0
"""Limit of the checks of one source from the first on; they take less than two seconds."""

START_SECONDS = 60.0
"""Limit until the first check begins, in which nothing of the source runs."""

OUTPUT_BYTES = 64 << 10
"""A source that writes more is ended; the lines of the checks are far shorter."""

RIGHT, WRONG = "right", "wrong"
NOT_CHECKED, NOT_HANDED_IN, NOT_READABLE = "not checked", "not handed in", "not readable"

CELL = re.compile(r"^# %% cell \d+\n", re.MULTILINE)


def graded(bundle: Bundle, folder: Path = FOLDER) -> dict[str, str]:
    """Return the outcome of each mechanism of a bundle's phase, such as `right`, or `wrong:` and the reason."""
    begin = f"p{bundle.phase.removeprefix('phase')}-"
    known = {id: one for id, one in every_mechanism().items() if id.startswith(begin)}
    code = bundle.files.get(CODE, b"").decode("utf-8", "replace")
    return {id: outcome(one, code, folder / id / "checks.py") for id, one in known.items()}


def outcome(mechanism: Mechanism, code: str, checks: Path) -> str:
    """Return the outcome of one mechanism in the code of a notebook."""
    if not checks.is_file():
        return NOT_CHECKED
    try:
        source = submitted(mechanism, code)
        if source is None:
            return NOT_HANDED_IN
        return run_checks(mechanism.checked(source), checks)
    except LabError as problem:
        return f"{NOT_READABLE}: {problem}"


def submitted(mechanism: Mechanism, code: str) -> str | None:
    """Return the last source for a mechanism in a notebook's code; `None` for none, or the stub as it was.

    Raises:
        LabError: The code has a block `replaced(TARGET, ...)` whose source is not in it, and gives none after it.
    """
    cells = CELL.split(code)
    found, problem = None, None
    for number in range(len(cells)):
        try:
            source = _of_cell(mechanism, cells[: number + 1])
        except LabError as error:
            problem = error
            continue
        if source is not None:
            found, problem = source, None
    if problem is not None:
        raise problem
    if found is None or not found.strip() or _same(found, mechanism.stub):
        return None
    return found


def _of_cell(mechanism: Mechanism, cells: list[str]) -> str | None:
    """Return the source for a mechanism that the last cell gives; `None` if it gives none."""
    cell = cells[-1]
    magic = MAGIC.match(cell)
    if mechanism.service is None:
        return of_function(mechanism.name, cell)
    if magic:
        return cell[magic.end() :] if magic[2] == mechanism.target else None
    return (_of_block(mechanism.target, cells) or None) if mechanism.target in cell else None


def _of_block(target: str, cells: list[str]) -> str | None:
    """Return the source that the last cell gives to `replaced(TARGET, ...)`; it may be defined in any cell."""
    trees = [(text, tree_of(text)) for text in map(plain, cells)]
    given = [call.args[1] for call in _calls(trees[-1][1]) if _replaces(call, target)]
    if not given:
        return None
    last = given[-1]
    if isinstance(last, ast.Constant) and isinstance(last.value, str):
        return last.value
    name = last.id if isinstance(last, ast.Name) else None
    for text, tree in reversed(trees):
        for node in reversed(tree.body):
            if name and getattr(node, "name", None) == name:
                return ast.get_source_segment(text, node)
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                names = [each.id for each in node.targets if isinstance(each, ast.Name)]
                if name in names and isinstance(node.value.value, str):
                    return node.value.value
    raise LabError(f"The cells do not hold the source that they give to `replaced` for {target}.")


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _replaces(call: ast.Call, target: str) -> bool:
    named = isinstance(call.func, ast.Attribute) and call.func.attr == "replaced"
    return named and len(call.args) > 1 and ast.unparse(call.args[0]) == repr(target)


def _same(source: str, stub: str) -> bool:
    return ast.dump(tree_of(source)) == ast.dump(tree_of(stub))


def run_checks(replacement: Replacement, checks: Path) -> str:
    """Return the outcome of a source that the services would take: `right`, or `wrong:` and the reason."""
    key = secrets.token_hex(8)
    task = {
        "key": key,
        "root": str(ROOT),
        "checks": str(checks),
        "module": replacement.module,
        "name": replacement.name,
        "source": replacement.source,
    }
    with tempfile.TemporaryDirectory(prefix="lab-", dir=_short_folder()) as folder:
        output, ended = _run(json.dumps(task), Path(folder))
    lines = [line for line in _objects(output) if line.get("key") == key]
    if lines and lines[-1].get("end") == RIGHT:
        return RIGHT
    check = next((line["check"] for line in reversed(lines) if "check" in line), "")
    detail = lines[-1].get("error", "") if lines and "end" in lines[-1] else ended
    if not check:
        return f"{NOT_CHECKED}: The checks did not begin ({detail})"
    return f"{WRONG}: {check}" + (f" ({detail})" if detail else "")


def _short_folder() -> str | None:
    """Return where a socket's path is short enough; `TMPDIR` may name a long one."""
    return "/tmp" if os.access("/tmp", os.W_OK) else None


def _run(task: str, folder: Path) -> tuple[str, str]:
    """Return the output of the process that checks, and how it ended.

    It reads and writes files: no process that it leaves behind can keep a pipe open or fill it.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as written:
        given.write(task.encode())
        given.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-I", str(CHILD)],
            stdin=given,
            stdout=written,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={},
            start_new_session=True,
        )
        try:
            ended = _wait(process, written.fileno())
        finally:
            _end(process)
        return os.pread(written.fileno(), OUTPUT_BYTES, 0).decode("utf-8", "replace"), ended


def _wait(process: subprocess.Popen[bytes], written: int) -> str:
    """Return how the process ended, or why it has to be ended now."""
    began, since, seconds = False, time.monotonic(), START_SECONDS
    while True:
        code, size = process.poll(), os.fstat(written).st_size
        if size > OUTPUT_BYTES:
            return f"it wrote more than {OUTPUT_BYTES:,} bytes"
        if code is not None:
            return f"its process ended with code {code}"
        if size and not began:
            began, since, seconds = True, time.monotonic(), SECONDS
        if time.monotonic() > since + seconds:
            return f"it did not end within {seconds:.0f} s"
        time.sleep(0.01)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process, and those that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _objects(output: str) -> Iterator[dict[str, Any]]:
    for line in output.splitlines():
        with suppress(ValueError):
            value = json.loads(line)
            if isinstance(value, dict):
                yield value
