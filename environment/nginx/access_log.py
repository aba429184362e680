"""nginx's access log as a table."""

import json
from collections.abc import Mapping

import pandas as pd

COLUMNS = [
    "time",
    "service",
    "client",
    "method",
    "path",
    "status",
    "seconds",
    "attempts",
    "correlation_id",
    "replica",
]


def read_access_log(lines: str, replicas: Mapping[str, str]) -> pd.DataFrame:
    """Return one row per request; `replicas` names the replica at each address.

    A last line that nginx is still writing is left out. When every replica was given up, nginx logs the name of the
    upstream in place of an address: such a request has no attempt.
    """
    whole = lines[: lines.rfind("\n") + 1].splitlines()
    frame = pd.DataFrame([json.loads(line) for line in whole], columns=COLUMNS)
    attempts = [
        [replicas[address] for address in tried.split(", ") if address in replicas]
        for tried in frame["attempts"]
    ]
    last = [tried[-1] if tried else None for tried in attempts]
    return frame.assign(
        status=frame["status"].astype(int),
        attempts=pd.Series(attempts, dtype=object),
        replica=pd.Series(last, dtype=object),
    )
