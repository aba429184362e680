"""Tables in a terminal: a DataFrame as aligned columns, or as JSON."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from environment.client.status import aligned

if TYPE_CHECKING:
    import pandas as pd


def print_frame(frame: "pd.DataFrame", as_json: bool, shown: Sequence[str] = ()) -> None:
    """Print a table: as JSON whole, as text the columns `shown`, by default all."""
    print(json.dumps(records_of(frame), indent=2) if as_json else lines_of(frame, shown))


def records_of(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """Return the rows as JSON's objects."""
    records: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", date_format="iso"))
    return records


def lines_of(frame: "pd.DataFrame", shown: Sequence[str] = ()) -> str:
    """Return the columns `shown`, by default all, as aligned lines below their names."""
    names = list(shown or frame.columns)
    rows = frame[names].astype(object).itertuples(index=False)
    return aligned([names, *([cell(value) for value in row] for row in rows)])


def cell(value: Any) -> str:
    """Return the text of one cell. Control characters of a message are shown escaped, not sent to the terminal."""
    import pandas as pd

    if value is None or value is pd.NA or value is pd.NaT:
        return "-"
    if isinstance(value, pd.Timestamp):
        return value.tz_convert(datetime.now().astimezone().tzinfo).strftime("%H:%M:%S.%f")[:-3]
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value)
    )
