"""The wire: camelCase JSON, read strictly, with amounts in whole cents inside.

A plain ``json.loads`` accepts NaN, Infinity and half a surrogate pair, and then nobody can encode
the error message about them. The parser here refuses them with their position.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import from_json, to_json
from starlette.types import Receive, Scope, Send

from microservices.kit.http.problem import Problem

MAX_AMOUNT = 1_000_000_000_000
"""Largest amount on the wire: its cents still fit a float exactly, and 64 bits with room."""


class WireModel(BaseModel):
    """A JSON object: camelCase names, exact types, no unknown fields."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True)


Id = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._@+-]+$")]
"""An identifier. Without ``:``, so that ``seed:userId:key`` can be read in one way only."""

TEXT = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=TEXT)]
"""A line of text, not blank, without control characters (PostgreSQL cannot store a NUL)."""


def to_cents(value: object) -> int:
    """Turn an amount on the wire into cents: ``19.99`` -> ``1999``.

    Raises:
        ValueError: not a number, negative, too large, or more than two decimals.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("should be a number")
    if not 0 <= value <= MAX_AMOUNT:
        raise ValueError(f"should be between 0 and {MAX_AMOUNT}")
    cents = round(value * 100)
    if from_cents(cents) != value:  # the nearest float to a number of cents, or no such number
        raise ValueError("should have at most two decimals")
    return cents


def from_cents(cents: int) -> float:
    """Turn cents into the number on the wire: ``1999`` -> ``19.99``."""
    return cents / 100


def amount_schema(**limits: Any) -> WithJsonSchema:
    """Describe an amount in the OpenAPI document."""
    description = "at most two decimals"
    return WithJsonSchema(
        {"type": "number", "maximum": MAX_AMOUNT} | limits | {"description": description}
    )


Amount = Annotated[int, BeforeValidator(to_cents), amount_schema(minimum=0)]
"""An amount: a number on the wire, whole cents in Python."""


def encode(value: object) -> bytes:
    """Encode an answer as compact JSON."""
    return to_json(value)


def json_response(
    body: bytes, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """Answer with JSON that is encoded already; FastAPI then has nothing left to do."""
    return Response(body, status, headers, media_type="application/json")


def read_json(body: bytes) -> Any:
    """Parse strict JSON: no NaN, no Infinity, valid UTF-8, whole surrogate pairs, sane depth.

    Raises:
        ValueError: saying what is wrong and where.
    """
    return from_json(body, allow_inf_nan=False)


def parse_json(body: bytes) -> Any:
    """Parse a request's body by :func:`read_json`.

    Raises:
        Problem: 400, saying what is wrong and where.
    """
    try:
        return read_json(body)
    except ValueError as error:
        hint = "; NaN and Infinity are not JSON" if b"NaN" in body or b"Infinity" in body else ""
        raise Problem(400, f"the body is not JSON: {error}{hint}") from None


JSON_TYPE = re.compile(r"application/(?:[\w.+-]+\+)?json\s*(?:;|$)", re.IGNORECASE)


class StrictRoute(APIRoute):
    """A route whose body is strict JSON, read and checked once, by the model that stands for it.

    Its endpoint takes the request and the body, and returns a ``Response``; a header among its
    parameters only stands in the OpenAPI document. To solve parameters as FastAPI can, for every
    request anew, would cost more than all that is done for an order.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **described: Any) -> None:
        super().__init__(path, endpoint, **described)
        if not self.body_field:
            return
        found = self.dependant
        if found.path_params or found.query_params or found.cookie_params or found.dependencies:
            raise TypeError(
                f"{path}: a StrictRoute gives its endpoint the request and the body only"
            )
        self.app = self._answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        response = await self.endpoint(request, await self._body(request))
        await response(scope, receive, send)

    async def _body(self, request: Request) -> Any:
        assert self.body_field
        body = await request.body()
        if body:
            check_content_type(request)
        found = parse_json(body) if body else None
        if found is None and not self.body_field.field_info.is_required():
            return self.body_field.get_default()
        if found is None:
            missing = {"type": "missing", "loc": ("body",), "msg": "Field required"}
            raise RequestValidationError([missing])
        value, errors = self.body_field.validate(found, loc=("body",))
        if errors:
            raise RequestValidationError(errors)
        return value


def check_content_type(request: Request) -> None:
    """Refuse a body that does not claim to be JSON.

    Raises:
        Problem: 415, saying which header to send.
    """
    found = request.headers.get("content-type", "")
    if not JSON_TYPE.match(found):
        raise Problem(415, f"send Content-Type: application/json, not {found or 'none'}")
