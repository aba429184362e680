"""Why a service did not start with a student's source, in the student's terms, from the service's log."""

import json
import re

from environment.replacing import Replacement
from environment.replacing.checks import line_of

FRAME = re.compile(r'File "([^"]+)", line (\d+)')
OWN = "<your "
FAR = 1_000_000
"""Lines from here on belong to the source, in a frame of the module itself (`microservices/kit/replacement.py`)."""

STUCK = re.compile(r"^Timeout \((\d+):(\d+):(\d+)\)!$")
REFUSED = re.compile(r"^[\w-]+: REPLACED: (.*)$")
ENDED = re.compile(r"ended with exit code (-?\d+)")
KILLED = ("-9", "137")
EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(: .*)?$")


def explained(service: str, replacement: Replacement, log: str, otherwise: str) -> str:
    """Return one or two sentences about a start that failed.

    Args:
        service: the service's name.
        replacement: what it was started with.
        log: what it has logged since.
        otherwise: what is known without the log.
    """
    reason = _reason(replacement, log) or _without_log(otherwise)
    return (
        f"{service} did not start with your `{replacement.short}`: {reason}\n"
        f"It runs its original `{replacement.short}` again."
    )


def _reason(replacement: Replacement, log: str) -> str:
    lines = [line for entry in log.splitlines() for line in _readable(entry)]
    stuck = next((i for i, line in enumerate(lines) if STUCK.match(line)), None)
    if stuck is not None:
        match = STUCK.match(lines[stuck])
        assert match
        hours, minutes, seconds = map(int, match.groups())
        limit = f"{3600 * hours + 60 * minutes + seconds} s"
        place = next((p for line in lines[stuck:] if (p := _own_line(line))), None)
        if place is None:
            return f"after {limit} it had not started, and was not in your code."
        where = line_of(replacement.source, place)
        return f"after {limit} it was still in {where}. Does it loop, or wait, without an end?"
    for line in lines:
        if match := REFUSED.match(line):
            return f"{match[1]}."
    frames = [(i, number) for i, line in enumerate(lines) if (number := _own_line(line))]
    if frames:
        index, number = frames[-1]
        return f"{line_of(replacement.source, number)}: {_exception(lines[index + 1 :])}."
    trace = [i for i, line in enumerate(lines) if line.startswith("Traceback")]
    if trace:
        return f"{_exception(lines[trace[-1] + 1 :])}. That was raised by a line that is not yours."
    return ""


def _without_log(otherwise: str) -> str:
    match = ENDED.search(otherwise)
    if match is None:
        return f"it did not become ready. {otherwise}"
    killed = " It was killed: the usual reason is too much memory." if match[1] in KILLED else ""
    return f"it ended with exit code {match[1]} before it was ready, without an error in its log.{killed}"


def _readable(entry: str) -> list[str]:
    """Return the lines of an entry of the log, those of a traceback in JSON too."""
    try:
        values = json.loads(entry)
        texts = [values.get("message"), values.get("exc_info")]
    except (ValueError, AttributeError):
        return [entry]
    return [line for text in texts if text for line in str(text).splitlines()]


def _own_line(line: str) -> int | None:
    """Return the line of the source that a frame is in; None for a frame elsewhere."""
    match = FRAME.search(line)
    if match is None:
        return None
    number = int(match[2])
    if number > FAR:
        return number - FAR
    return number if match[1].startswith(OWN) else None


def _exception(lines: list[str]) -> str:
    """Return the line of a traceback that names the exception."""
    return next((line.strip() for line in lines if EXCEPTION.match(line)), "an exception")
