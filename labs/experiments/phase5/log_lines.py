"""The lines that a service writes to its log, as JSON objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def read_lines(log: str, message: str) -> Iterator[dict[str, Any]]:
    """Yield the fields of each line with this message; lines of other programs are left out."""
    for line in log.splitlines():
        try:
            fields = json.loads(line)
        except ValueError:
            continue
        if isinstance(fields, dict) and fields.get("message") == message:
            yield fields
