"""Faults on demand: `PUT /faults` makes a replica slow or failing, or holds or ends it at a point (`kit/points.py`).

Present only with `FAULTS=on`, and only for requests with `CONTROL_TOKEN`. The state is in memory: a
restarted replica is healthy. Probes, metrics and documentation are not affected, except that `/ready`
asks the database.
"""

import asyncio
import random
from typing import TYPE_CHECKING, Annotated, Literal, Self

from fastapi import APIRouter, Request, Response
from pydantic import Field, model_validator
from starlette.types import ASGIApp, Receive, Scope, Send

from microservices.kit.http.bearer import check_bearer
from microservices.kit.http.problem import Problem, documented, problem_response
from microservices.kit.http.strict_json import StrictRoute, json_response
from microservices.kit.points import PointFaults, PointsReport
from microservices.kit.wire import encode

if TYPE_CHECKING:  # the gateway has no database, and imports none
    from microservices.kit.database import Database

UNTOUCHED = ("/health", "/ready", "/metrics", "/faults", "/docs", "/openapi.json", "/static-")


class Faults(PointFaults):
    """The faults of this replica; by default none.

    `seconds` delays every business request. `status` is the answer to a share `rate` of them (all,
    when not given) instead of the service's own. When `database` is `away`, the replica cannot use its
    database. The others are for services that exchange events.
    """

    seconds: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = 0
    status: Annotated[int, Field(ge=400, le=599)] | None = None
    rate: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 1
    database: Literal["away"] | None = None

    @model_validator(mode="after")
    def _rate_of_something(self) -> Self:
        if "rate" in self.model_fields_set and self.status is None:
            raise ValueError("rate is the share of requests answered with status: give status too")
        return self


class FaultsReport(Faults, PointsReport):
    """The present faults; with those of a service that exchanges events, what passed its points and what waits."""


class FaultSwitch:
    """Holds the present faults of one replica."""

    def __init__(self) -> None:
        self.faults = Faults()


router = APIRouter(prefix="/faults", tags=["faults"], route_class=StrictRoute)


@router.put("", response_model=FaultsReport, responses=documented(400, 401, 413, 415, 422))
async def put_faults(request: Request, faults: Faults) -> Response:
    """Replace the present faults. `{}` heals."""
    check_token(request)
    if reason := request.app.state.points.refusal(faults):
        raise Problem(422, reason)
    database: Database | None = request.app.state.database
    if database is not None:
        database.taken_away = faults.database is not None
    elif faults.database:
        raise Problem(422, "this service has no database")
    request.app.state.faults.faults = faults
    request.app.state.points.apply(faults)
    return _answer(request)


@router.get("", response_model=FaultsReport, responses=documented(401))
async def get_faults(request: Request) -> Response:
    """Show the present faults, how often each event passed each point, and which events are held now."""
    check_token(request)
    return _answer(request)


def _answer(request: Request) -> Response:
    state = request.app.state
    report: PointsReport | None = state.points.report()
    if report is None:
        own = state.faults.faults.model_dump(by_alias=True, exclude={*PointFaults.model_fields})
        return json_response(encode(own))
    shown = state.faults.faults.model_dump(by_alias=True) | report.model_dump(by_alias=True)
    return json_response(encode(shown))


def check_token(request: Request) -> None:
    """Admit only requests with CONTROL_TOKEN.

    Raises:
        Problem: 401, the bearer token is missing or another one.
    """
    check_bearer(request, request.app.state.settings.control_token, "CONTROL_TOKEN of this session")


def strikes(rate: float) -> bool:
    """Return at random whether a request gets the fault."""
    return random.random() < rate


class InjectFaults:
    """Applies the present faults to business routes."""

    def __init__(self, app: ASGIApp, switch: FaultSwitch) -> None:
        self.app = app
        self.switch = switch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["path"].startswith(UNTOUCHED):
            return await self.app(scope, receive, send)
        faults = self.switch.faults
        if faults.seconds:
            await asyncio.sleep(faults.seconds)
        if faults.status is not None and strikes(faults.rate):
            response = problem_response(faults.status, "a fault that was injected through /faults")
            return await response(scope, receive, send)
        await self.app(scope, receive, send)
