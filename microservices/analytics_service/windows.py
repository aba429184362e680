"""The routes of version 2: windows in event time, and what became of a user's orders."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import Connection

from microservices.analytics_service import panes, state, watermark
from microservices.analytics_service.panes import Window
from microservices.analytics_service.settings import AnalyticsSettings
from microservices.analytics_service.state import iso
from microservices.kit.database import Database
from microservices.kit.http import pages
from microservices.kit.http.problem import Problem, documented
from microservices.kit.http.strict_json import json_response
from microservices.kit.wire import Id, WireModel, encode, from_cents

router = APIRouter(tags=["windows"])

LONGEST = 86_400
"""Seconds of the longest window."""

OVERLAP = 60
"""In how many windows an event may lie."""


class Sums(WireModel):
    """The events of a window. Revenue is charges minus refunds, each at its own time."""

    orders: int
    successful: int
    failed: int
    revenue: float


class WindowOfTime(Sums):
    """A window that begins at `start`: its sums now, and `first`, as they were when it was closed.

    `late` counts the events in it that were read when the watermark had passed them. Each of them corrects the sums.
    """

    start: str
    late: int
    closed: bool
    first: Sums | None


class Windows(WireModel):
    """The windows in which something happened. Those that end before the watermark are closed."""

    watermark: str | None
    windows: list[WindowOfTime]


class PastOrder(WireModel):
    """An order in a user's history."""

    order_id: Id
    status: str
    total: float
    charged: float
    refunded: float
    created_at: str


Seconds = Annotated[int | None, Query(ge=1, le=LONGEST)]


@router.get("/windows", response_model=Windows, responses=documented(422, 503))
async def get_windows(request: Request, size: Seconds = None, step: Seconds = None) -> Response:
    """Show windows of `size` seconds that begin every `step` seconds, by default WINDOW_SECONDS and `size`."""
    settings: AnalyticsSettings = request.app.state.settings
    size = size or settings.window_seconds
    step = step or size
    check_windows(size, step, settings.pane_seconds)
    database: Database = request.app.state.database
    answer = await database.read(read, size=size, step=step, pane=settings.pane_seconds)
    return json_response(encode(answer))


def check_windows(size: int, step: int, pane: int) -> None:
    """Refuse windows that cannot be made of panes.

    Raises:
        Problem: 422, with what is expected.
    """
    for name, value in (("size", size), ("step", step)):
        if value % pane:
            expected = f"a multiple of {pane}, the seconds of a pane (REPORT_SECONDS)"
            raise Problem(422, f"{name} is {value}: {expected} is expected")
    if step > size:
        raise Problem(422, f"step is {step}, longer than size: events in between would be in none")
    if size > OVERLAP * step:
        raise Problem(422, f"size is {size}: at most {OVERLAP} times the step, {step}, is expected")


def read(connection: Connection, *, size: int, step: int, pane: int) -> dict[str, Any]:
    """Return the windows and the watermark, of one moment."""
    mark = watermark.find(connection)
    found = panes.windows(connection, size=size, step=step, pane=pane, watermark=mark)
    return {
        "watermark": None if mark is None else iso(mark),
        "windows": [wire(window) for window in found],
    }


def wire(window: Window) -> dict[str, Any]:
    """Return the wire form of a window."""
    return {
        "start": iso(window.start),
        **wire_sums(window.now),
        "late": window.late,
        "closed": window.closed,
        "first": wire_sums(window.first) if window.closed else None,
    }


def wire_sums(sums: dict[str, int]) -> dict[str, Any]:
    """Return sums with their names on the wire."""
    counts = {name: sums[name] for name in ("orders", "successful", "failed")}
    return counts | {"revenue": from_cents(sums["revenue_cents"])}


@router.get(
    "/history/{userId}",
    response_model=list[PastOrder],
    responses=pages.RESPONSES,
    openapi_extra=pages.DESCRIBED,
)
async def get_history(request: Request, user_id: Annotated[Id, Path(alias="userId")]) -> Response:
    """List a user's orders, and what became of each: one page, with a `Link` to the next one.

    An order is here once its event was consumed. A user who has just placed one may not see it yet.
    """
    database: Database = request.app.state.database
    page = pages.requested_page(request)
    found = await database.read(state.page_of_history, user_id, page, state.wire)
    return pages.page_response(found)
