"""The application: a service's own routes, and around them everything services share.

What only some services need (a database, a client of others) is imported by those that use it: each
import costs almost a tenth of a second at the start, and memory.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI
from fastapi.telemetry import TelemetryConfig
from fastapi_offline import FastAPIOffline
from starlette.routing import BaseRoute

from microservices.kit.correlation import Correlation
from microservices.kit.drain import Drain, TrackRequests
from microservices.kit.http import faults, probes, problem
from microservices.kit.http.body import BodyReader
from microservices.kit.http.faults import FaultSwitch, InjectFaults
from microservices.kit.http.head import AnswerHead
from microservices.kit.http.metrics import MeasureRequests, Metrics
from microservices.kit.http.probes import Need
from microservices.kit.http.problem import CatchAll
from microservices.kit.points import Points
from microservices.kit.settings import Settings
from microservices.kit.wire import encode

if TYPE_CHECKING:
    import httpx
    from sqlalchemy import Connection

    from microservices.kit.database import Database

log = logging.getLogger(__name__)

NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
"""FastAPI's own would look for three providers at every request; ours is kit/http/metrics.py."""


def create_app(
    *,
    service: str,
    version: str,
    settings: Settings,
    database: Database | None = None,
    create_tables: Callable[[Connection], None] = lambda _: None,
    routers: Sequence[APIRouter] = (),
    routes: Sequence[BaseRoute] = (),
    client: httpx.AsyncClient | None = None,
    parts: Sequence[AbstractAsyncContextManager[object]] = (),
    needs: Sequence[Need] = (),
    drain: Drain | None = None,
    points: Points | None = None,
) -> FastAPI:
    """Compose one version of a service.

    Its routes find `settings`, `database` and `client` on `request.app.state`. `routes` are
    tried before those of `routers`. `parts` are entered when the service starts and left, in
    reverse, when it stops. `/ready` checks the database, and `needs`. Give `drain` when a part has to
    see that the service shuts down, and `points` when events pass some.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if database is not None:
                stack.push_async_callback(database.stop)
                await database.start(create_tables)
            if client is not None:
                stack.push_async_callback(client.aclose)
            for part in parts:
                await stack.enter_async_context(part)
            log.info("started")
            yield

    app = FastAPIOffline(
        title=service,
        version=version,
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=NO_TELEMETRY,
    )
    # Not include_router: it would look for the route twice, at every request.
    own = [route for router in (*routers, probes.router) for route in router.routes]
    app.router.routes[:0] = [*routes, *own]
    app.state.settings, app.state.database, app.state.client = settings, database, client
    # The database first: when it is away, the other parts stall because of it.
    app.state.needs = [database.unavailable, *needs] if database else [*needs]
    app.state.drain, app.state.faults = drain or Drain(), FaultSwitch()
    app.state.points = points or Points()
    app.state.metrics = Metrics(app.state.drain)
    identity = {"service": service, "version": version, "instance": settings.instance}
    app.state.health = encode({"status": "ok"} | identity)
    problem.install(app, away=database.AWAY if database else ())
    _surround(app, settings)
    return app


def _surround(app: FastAPI, settings: Settings) -> None:
    # The one that is added last handles a request first. Only what reads no body may precede BodyReader.
    app.add_middleware(AnswerHead)
    if settings.faults == "on":
        app.router.routes.extend(faults.router.routes)
        app.add_middleware(InjectFaults, switch=app.state.faults)
    app.add_middleware(BodyReader)
    app.add_middleware(CatchAll)
    app.add_middleware(TrackRequests, drain=app.state.drain)
    app.add_middleware(MeasureRequests, metrics=app.state.metrics)
    app.add_middleware(Correlation)
