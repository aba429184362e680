"""What an error message shows of the log of a start that failed: the cause, and not only what was logged last.

A program that fails slowly goes on logging after its cause: it tries again, shuts down in many lines, or logs each of
our probes. So an excerpt begins where the start did, has each line once, and prefers lines that report an error.
"""

import json
import re
from collections import Counter

LINES_READ = 1000
"""Lines of a log that are searched for the cause."""

MARK_LINES = 3
"""Last lines of the log before a start, by which its own lines are found."""

MOST = 12
LAST = 4
"""Lines that are shown because they are the last ones, when there are more than `MOST`."""

WIDTH = 300

ERROR = re.compile(
    r"\b(ERROR|FATAL|CRITICAL|emerg|alert|crit|error)\b|(Error|Exception|Problem)\b|Caused by|not ready|: # "
)
WARNING = re.compile(r"\bWARN(ING)?\b|\[warn\]| # ")
STACK_FRAME = re.compile(r'\s+(at |\.\.\. |File "|\^)')
NUMBERS = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+")


def excerpt(log: str, before: str = "") -> str:
    """Return the lines of a log that explain a failed start, at most `MOST` of them.

    `before` is the end of the log before that start.
    """
    lines = [text for line in since(log, before).splitlines() if (text := readable(line))]
    keys = [NUMBERS.sub("", line) for line in lines]
    times = Counter(keys)
    first: dict[str, str] = {}
    for key, line in zip(keys, lines, strict=True):
        first.setdefault(key, line)
    shown = [line + repeated(times[key]) for key, line in first.items()]
    return "\n".join(shown if len(shown) <= MOST else [shown[index] for index in chosen(shown)])


def chosen(lines: list[str]) -> list[int]:
    """Return which lines are shown: the last ones, and the first and last that report an error, else a warning."""
    last = set(range(len(lines) - LAST, len(lines)))
    places = [index for index, line in enumerate(lines) if ERROR.search(line)]
    warnings = [index for index, line in enumerate(lines) if WARNING.search(line)]
    room = MOST - LAST
    for index in [*ends(places, room), *ends(warnings, room)]:
        if len(last) < MOST:
            last.add(index)
    return sorted(last)


def ends(places: list[int], room: int) -> list[int]:
    """Return the first and the last of some places, as many as there is room for."""
    half = room // 2
    return places if len(places) <= room else places[:half] + places[-half:]


def since(log: str, before: str) -> str:
    """Return the part of a log that follows `before`; all of it when that is not found."""
    place = log.rfind(before) if before else -1
    return log[place + len(before) :] if place >= 0 else log


def readable(line: str) -> str:
    """Return a line as a person reads it; empty for a frame of a stack, and for the log line of a probe."""
    if STACK_FRAME.match(line):
        return ""
    try:
        entry = json.loads(line)
    except ValueError:
        return line.rstrip()[:WIDTH]
    if not isinstance(entry, dict) or "message" not in entry:
        return line.rstrip()[:WIDTH]
    if entry.get("path") == "/ready":
        return ""
    cause = last_line(str(entry.get("exc_info") or ""))
    message = str(entry["message"])
    parts = [str(entry.get(name, "")) for name in ("time", "level")]
    parts += [message if not cause or cause in message else f"{message}: {cause}"]
    return " ".join(part for part in parts if part)[:WIDTH]


def last_line(traceback: str) -> str:
    """Return the line of a traceback that names the exception; SQLAlchemy adds the statement and a link to it."""
    lines = [
        line for line in traceback.splitlines() if line and not line.startswith(("[", "(", " "))
    ]
    return lines[-1] if lines else ""


def repeated(times: int) -> str:
    """Return a remark on a line that was logged several times."""
    return f" ({times} times)" if times > 1 else ""
