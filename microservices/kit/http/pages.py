"""Pages: a list is answered in parts, so that no answer grows with its table.

A page ends after `limit` rows, or earlier, before it is larger than `MAX_BYTES`. The response then has a header
`Link: <?limit=...&cursor=...>; rel="next"` (RFC 8288). The link is relative to the address that was requested: it is
right at a replica's own address, and behind nginx or the gateway too.

The cursor is the position of the last row of the page. A row gets its position when it is inserted, and positions only
grow, so rows that arrive meanwhile are neither shown twice nor left out.
"""

import re
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError

from microservices.kit.http.problem import documented
from microservices.kit.http.strict_json import json_response

MAX_ROWS = 20_000
"""Most rows of a page, and their number when the client names none."""

MAX_BYTES = 8_000_000
"""Largest page: half of what the gateway accepts as an answer."""

NUMBER = re.compile(r"[0-9]{1,18}")

DESCRIBED: dict[str, Any] = {
    "parameters": [
        {
            "name": "limit",
            "in": "query",
            "description": "Most rows of the page. A page of long rows may hold fewer.",
            "schema": {"type": "integer", "minimum": 1, "maximum": MAX_ROWS, "default": MAX_ROWS},
        },
        {
            "name": "cursor",
            "in": "query",
            "description": "Where the page begins: from the `Link` header of the page before.",
            "schema": {"type": "string", "pattern": f"^{NUMBER.pattern}$"},
        },
    ]
}
"""The parameters of a list, for the `openapi_extra=` of its route."""

LINK: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": {
            "Link": {
                "description": 'The next page, with `rel="next"`; absent from the last page.',
                "schema": {"type": "string"},
            }
        }
    }
}
"""The header of a list, for the `responses=` of its route."""

RESPONSES = LINK | documented(422, 503)


@dataclass(frozen=True)
class PageRequest:
    """The page that a client requests: `limit` rows behind the position `cursor`."""

    limit: int = MAX_ROWS
    cursor: int = 0


@dataclass(frozen=True)
class Page:
    """The rows of a page as a JSON list, and where the next page begins; `None` when there is none."""

    rows: bytes
    next: PageRequest | None

    @property
    def headers(self) -> dict[str, str]:
        """Return the link to the next page."""
        if self.next is None:
            return {}
        return {"Link": f'<?limit={self.next.limit}&cursor={self.next.cursor}>; rel="next"'}


def requested_page(request: Request) -> PageRequest:
    """Return the page that the query of a request names.

    It is read here and not by FastAPI, whose solving of parameters costs as much as a short list.

    Raises:
        RequestValidationError: `limit` or `cursor` is not such a number, or is named twice.
    """
    if not request.scope["query_string"]:
        return PageRequest()
    given = {name: request.query_params.getlist(name) for name in ("limit", "cursor")}
    limits = f"should be one whole number from 1 to {MAX_ROWS}"
    cursors = "should be the one cursor of a Link header"
    errors = [
        {"type": "page", "loc": ("query", name), "msg": text}
        for name, text in (("limit", limits), ("cursor", cursors))
        if given[name] and not (len(given[name]) == 1 and NUMBER.fullmatch(given[name][0]))
    ]
    numbers = {name: int(values[0]) for name, values in given.items() if values and not errors}
    page = PageRequest(**numbers)
    if not (errors or 1 <= page.limit <= MAX_ROWS):
        errors = [{"type": "page", "loc": ("query", "limit"), "msg": limits}]
    if errors:
        raise RequestValidationError(errors)
    return page


def page_response(page: Page) -> Response:
    """Return the response that is a page."""
    return json_response(page.rows, headers=page.headers)
