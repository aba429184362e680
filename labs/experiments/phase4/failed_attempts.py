"""The failed attempts that a service's log records."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd


def read_attempts(log: str) -> pd.DataFrame:
    """Return the failed attempts in a service's log.

    Columns: `order`, `attempt` (from 1), `time` (unix seconds).
    """
    rows = []
    for line in log.splitlines():
        fields = fields_of(line)
        if fields.get("message") == "attempt failed":
            time = pd.Timestamp(fields["time"]).timestamp()
            rows.append([fields["orderId"], fields["attempt"], time])
    return pd.DataFrame(rows, columns=["order", "attempt", "time"])


def fields_of(line: str) -> dict[str, Any]:
    """Return a line of a log; empty for one that some other program wrote."""
    try:
        content = json.loads(line)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
