"""Problems: the form of every error on the wire (RFC 9457, `application/problem+json`)."""

import json
import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class Problem(HTTPException):
    """An answer that is an error: raise it anywhere below a route.

    `detail` describes what was expected, what was received, and what to do next.
    """

    def __init__(self, status: int, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, detail, headers)


class Fault(BaseModel):
    """One thing wrong with a request."""

    pointer: str
    detail: str


class ProblemDocument(BaseModel):
    """The wire form of a problem, for the OpenAPI document."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[Fault] = []


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the problems a route can answer with, for its `responses=`."""
    schema = {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }


def define(app: FastAPI) -> None:
    """Define in the OpenAPI document what `documented` refers to."""
    schema = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    defined = schema.pop("$defs") | {ProblemDocument.__name__: schema}
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        document.setdefault("components", {}).setdefault("schemas", {}).update(defined)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def problem_response(
    status: int,
    detail: str,
    *,
    errors: list[dict[str, str]] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """Encode a problem. Never fails, whatever text of a client it quotes."""
    document: dict[str, Any] = {"type": "about:blank", "title": title(status)}
    document |= {"status": status, "detail": detail}
    if errors:
        document["errors"] = errors
    # ASCII escapes carry even a lone surrogate, which UTF-8 cannot encode.
    body = json.dumps(document, ensure_ascii=True).encode("ascii")
    return Response(body, status, headers, media_type=MEDIA_TYPE)


def title(status: int) -> str:
    """Return the name of a status; an injected fault may use one that no standard names."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"


def install(app: FastAPI, *, away: Sequence[type[Exception]] = ()) -> None:
    """Make `app` answer every error as a problem; the errors in `away` mean that its database does not answer."""
    define(app)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _validation_problem)
    for error in away:
        app.add_exception_handler(error, _database_problem)


async def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers = {"Allow": allowed_methods(request)}
    return problem_response(error.status_code, _explain(request, error), headers=headers)


def _explain(request: Request, error: HTTPException) -> str:
    if isinstance(error, Problem):
        return str(error.detail)
    if error.status_code == 404:
        return f"nothing lives at {request.url.path}; /docs lists what does"
    if error.status_code == 405:
        return f"{request.url.path} answers {allowed_methods(request)}, not {request.method}"
    return str(error.detail)


def allowed_methods(request: Request) -> str:
    """Return every method of the path; the router gives only the first route that matched."""
    path = getattr(request.scope.get("route"), "path", "")
    methods = {method.upper() for method in request.app.openapi()["paths"].get(path, {"get": None})}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


async def _validation_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [_fault(each) for each in error.errors()[:20]]
    detail = "; ".join(f"{each['pointer'] or 'the request'}: {each['detail']}" for each in errors)
    return problem_response(422, detail[:1000], errors=errors)


def _fault(error: Any) -> dict[str, str]:
    # Where and what, never the input itself: it may be a megabyte, NaN, or half a character.
    where = [str(part)[:100] for part in error["loc"] if part != "body"]
    what = str(error["msg"]).removeprefix("Value error, ")
    return {"pointer": "".join(f"/{part}" for part in where), "detail": what}


async def _database_problem(_: Request, error: Exception) -> Response:
    log.error("database does not answer", exc_info=error)
    detail = "the database of this service does not answer; try again"
    return problem_response(503, detail, headers={"Retry-After": "1"})


class CatchAll:
    """Turns an unexpected exception into a logged 500 problem."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception:
            if scope["type"] != "http" or started:
                raise
            log.exception("unexpected error", extra={"path": scope["path"]})
            response = problem_response(500, "a defect of this service; see its log")
            await response(scope, receive, send)
