"""JSON over HTTP: bodies that are read strictly, answers that are encoded once."""

import re
from collections.abc import Callable
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from microservices.kit.http.problem import Problem
from microservices.kit.wire import read_json


def json_response(
    body: bytes, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """Return a response of JSON that is encoded already, so that FastAPI does not encode it again."""
    return Response(body, status, headers, media_type="application/json")


def parse_json(body: bytes) -> Any:
    """Parse the body of a request as strict JSON.

    Raises:
        Problem: 400, with what is wrong and where.
    """
    try:
        return read_json(body)
    except ValueError as error:
        hint = "; NaN and Infinity are not JSON" if b"NaN" in body or b"Infinity" in body else ""
        raise Problem(400, f"the body is not JSON: {error}{hint}") from None


JSON_TYPE = re.compile(r"application/(?:[\w.+-]+\+)?json\s*(?:;|$)", re.IGNORECASE)


class StrictRoute(APIRoute):
    """A route whose body is strict JSON, read and validated once, by the model of that parameter.

    Its endpoint takes the request and the body, and returns a `Response`; a header among its
    parameters only appears in the OpenAPI document. FastAPI's own solving of parameters, which is
    repeated for every request, would cost more than all that is done for an order.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **described: Any) -> None:
        super().__init__(path, endpoint, **described)
        if not self.body_field:
            return
        given = self.dependant
        if given.path_params or given.query_params or given.cookie_params or given.dependencies:
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
        parsed = parse_json(body) if body else None
        if parsed is None and not self.body_field.field_info.is_required():
            return self.body_field.get_default()
        if parsed is None:
            missing = {"type": "missing", "loc": ("body",), "msg": "Field required"}
            raise RequestValidationError([missing])
        value, errors = self.body_field.validate(parsed, loc=("body",))
        if errors:
            raise RequestValidationError(errors)
        return value


def check_content_type(request: Request) -> None:
    """Refuse a body that is not declared as JSON.

    Raises:
        Problem: 415, with the header to send.
    """
    content_type = request.headers.get("content-type", "")
    if not JSON_TYPE.match(content_type):
        raise Problem(415, f"send Content-Type: application/json, not {content_type or 'none'}")
