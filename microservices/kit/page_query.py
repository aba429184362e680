"""The query of a page: rows in the order of their positions, from a cursor on (`http/pages.py` is its wire form)."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Column, Connection, Select, bindparam

from microservices.kit.http.pages import MAX_BYTES, Page, PageRequest
from microservices.kit.wire import encode

ROWS_AT_A_TIME = 50
"""Rows that are fetched together: a page is built without holding all of its rows in memory."""


def paged(statement: Select[Any], position: Column[int]) -> Select[Any]:
    """Return the statement that reads one page, for `read_page`; its columns include `position`.

    It is made once: building a statement costs more than running it.
    """
    following = statement.where(position > bindparam("cursor")).order_by(position)
    return following.limit(bindparam("most")).execution_options(yield_per=ROWS_AT_A_TIME)


def read_page(
    connection: Connection,
    page: PageRequest,
    statement: Select[Any],
    wire: Callable[[Mapping[Any, Any]], object],
) -> Page:
    """Read one page of a statement that `paged` returned; `wire` returns the wire form of a row."""
    rows: list[bytes] = []
    size, cursor = 0, page.cursor
    given = {"cursor": page.cursor, "most": page.limit + 1}
    with connection.execute(statement, given) as result:
        for row in result.mappings():
            text = encode(wire(row))
            size += len(text) + 1
            if rows and (len(rows) == page.limit or size > MAX_BYTES):
                return Page(b"[%b]" % b",".join(rows), PageRequest(page.limit, cursor))
            rows.append(text)
            cursor = row["position"]
    return Page(b"[%b]" % b",".join(rows), None)
