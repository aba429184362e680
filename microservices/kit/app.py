"""The application: a service's own routes, and around them everything services share."""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import httpx
from fastapi import APIRouter, FastAPI
from fastapi_offline import FastAPIOffline
from sqlalchemy import Connection

from microservices.kit import faults, probes, problem
from microservices.kit.body import BodyLimit
from microservices.kit.correlation import Correlation
from microservices.kit.database import Database
from microservices.kit.drain import Drain, TrackRequests
from microservices.kit.faults import FaultSwitch, InjectFaults
from microservices.kit.metrics import MeasureRequests, Metrics
from microservices.kit.problem import CatchAll
from microservices.kit.settings import Settings
from microservices.kit.wire import encode

log = logging.getLogger(__name__)


def create_app(
    *,
    service: str,
    version: str,
    settings: Settings,
    database: Database,
    create_tables: Callable[[Connection], None],
    routers: Sequence[APIRouter],
    client: httpx.AsyncClient | None = None,
) -> FastAPI:
    """Compose one version of a service.

    Its routes find ``settings``, ``database`` and ``client`` on ``request.app.state``.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await database.start(create_tables)
        log.info("started")
        yield
        if client is not None:
            await client.aclose()
        await database.stop()

    app = FastAPIOffline(
        title=service,
        version=version,
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.settings, app.state.database, app.state.client = settings, database, client
    app.state.drain, app.state.faults = Drain(), FaultSwitch()
    app.state.metrics = Metrics(app.state.drain)
    identity = {"service": service, "version": version, "instance": settings.instance}
    app.state.health = encode({"status": "ok"} | identity)
    for router in (*routers, probes.router):
        app.include_router(router)
    problem.install(app)
    _surround(app, settings)
    return app


def _surround(app: FastAPI, settings: Settings) -> None:
    # The last one added sees a request first.
    app.add_middleware(BodyLimit)
    if settings.faults == "on":
        app.include_router(faults.router)
        app.add_middleware(InjectFaults, switch=app.state.faults)
    app.add_middleware(CatchAll)
    app.add_middleware(TrackRequests, drain=app.state.drain)
    app.add_middleware(MeasureRequests, metrics=app.state.metrics)
    app.add_middleware(Correlation)
