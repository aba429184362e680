"""Panes: the sums of short spans of event time. Any window is a sum of panes.

The database keeps a pane for each second, so that another REPORT_SECONDS or WINDOW_SECONDS needs no migration. A row
also holds how far the watermark was when its events were read. So the sums of a window as it was first closed are
those of the rows that were read before, for windows of any size. No pane is ever closed for writing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import floor
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, func, select

from microservices.analytics_service.state import Moment
from microservices.kit.database import insert_into

SUMS = ("orders", "successful", "failed", "revenue_cents")

metadata = MetaData()

panes = Table(
    "panes",
    metadata,
    # The second of event time in which it happened, since the epoch.
    Column("second", BigInteger, primary_key=True, autoincrement=False),
    # The second of the watermark when it was read; 0 while there was none.
    Column("watermark", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, BigInteger, nullable=False) for name in SUMS),
    # Changes that were read when the watermark had passed them.
    Column("late", BigInteger, nullable=False),
)

MOST = 10_000
"""Windows of one answer: those of the newest time."""


@dataclass
class Window:
    """The sums of the events that happened from `start` on, before `end`: as first closed, and now."""

    start: int
    end: int
    closed: bool
    late: int = 0
    now: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SUMS, 0))
    first: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SUMS, 0))


def add(connection: Connection, moments: Iterable[Moment], *, watermark: float | None) -> None:
    """Add to the panes in which these moments lie, whether the watermark has passed them or not."""
    mark = 0 if watermark is None else max(0, floor(watermark))
    for at, name, value in moments:
        late = int(watermark is not None and at < watermark)
        this = (panes.c.second == floor(at)) & (panes.c.watermark == mark)
        more = {name: panes.c[name] + value, "late": panes.c.late + late}
        if connection.execute(panes.update().where(this).values(more)).rowcount == 0:
            zeros = dict.fromkeys(SUMS, 0)
            key = {"second": floor(at), "watermark": mark}
            connection.execute(insert_into(panes), {**key, **zeros, name: value, "late": late})


def totals(connection: Connection) -> Mapping[str, int]:
    """Return the sums over all time, and `late`."""
    names = (*SUMS, "late")
    row = connection.execute(select(*(func.sum(panes.c[name]) for name in names))).one()
    return {name: int(value or 0) for name, value in zip(names, row, strict=True)}


def windows(
    connection: Connection, *, size: int, step: int, pane: int, watermark: float | None
) -> list[Window]:
    """Return the windows of `size` seconds that begin every `step` seconds and in which something happened.

    Both are multiples of `pane`. A window is closed once the watermark has passed its end.
    """
    newest = int(connection.execute(select(func.max(panes.c.second))).scalar() or 0)
    oldest = newest - newest % step - (MOST - 1) * step
    start = (panes.c.second - panes.c.second % pane).label("start")
    mark = (panes.c.watermark - panes.c.watermark % pane).label("mark")
    sums = [func.sum(panes.c[name]).label(name) for name in (*SUMS, "late")]
    query = select(start, mark, *sums).where(panes.c.second >= oldest).group_by(start, mark)
    found: dict[int, Window] = {}
    for row in connection.execute(query).mappings():
        second = int(row["start"])
        for begin in range(second - second % step, second - size, -step):
            if begin >= oldest:
                end = begin + size
                closed = watermark is not None and watermark >= end
                window = found.setdefault(begin, Window(begin, end, closed))
                _add(window, row)
    return [found[begin] for begin in sorted(found)]


def _add(window: Window, row: Mapping[Any, Any]) -> None:
    window.late += int(row["late"])
    for name in SUMS:
        window.now[name] += int(row[name])
        if row["mark"] < window.end:  # it was read before the window was closed
            window.first[name] += int(row[name])
