"""`python -m environment.kafka.ui.server BOOTSTRAP SESSION`: serves the page until its standard input closes."""

import os
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import uvicorn
from fastapi import FastAPI, Query, Request
from fastapi import Path as InPath
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.middleware.trustedhost import TrustedHostMiddleware

from environment.errors import LabError, UnknownName
from environment.kafka import dead_letters, groups, messages, topics
from environment.kafka.broker import Broker
from environment.kafka.ui import SERVING

FOLDER = Path(__file__).parent
FILES = {"/": "page.html", "/page.css": "page.css", "/page.js": "page.js"}

SECONDS = 3.0
"""How long the broker may take: the page asks again anyway."""

MOST = 200
"""Messages on one page."""

HEADERS = {
    # Nothing from elsewhere, nothing inline: what a message holds can be shown, and never run.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

Limit = Annotated[int, Query(ge=1, le=MOST)]
Topic = Annotated[str, InPath(max_length=249)]


def make_page(broker: Broker, session: str) -> FastAPI:
    """Return the page and what it asks for. There is no method but GET."""
    page = FastAPI(title="Kafka", docs_url=None, redoc_url=None, openapi_url=None)
    # A page of another site can make its own name lead here; by that name it gets nothing.
    page.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])

    @page.middleware("http")
    async def guarded(request: Request, answer: Any) -> Response:
        response: Response = await answer(request)
        response.headers.update(HEADERS)
        return response

    @page.exception_handler(LabError)
    async def explained(_: Request, error: LabError) -> JSONResponse:
        status = 404 if isinstance(error, UnknownName) else 503
        return JSONResponse({"error": str(error)}, status)

    for path, name in FILES.items():
        page.add_api_route(path, _file(name), methods=["GET"])

    @page.get("/api/overview")
    def overview() -> dict[str, Any]:
        return {
            "session": session,
            "bootstrap": broker.bootstrap,
            "topics": rows(topics.list_topics(broker)),
            "groups": rows(groups.list_groups(broker)),
            "lag": rows(groups.lag(broker)),
        }

    @page.get("/api/topics/{topic}/offsets")
    def offsets(topic: Topic) -> list[dict[str, Any]]:
        return rows(topics.list_offsets(broker, topic))

    @page.get("/api/topics/{topic}/messages")
    def latest(
        topic: Topic, limit: Limit = 50, partition: Annotated[int | None, Query(ge=0)] = None
    ) -> list[dict[str, Any]]:
        options: dict[str, Any] = {"limit": limit, "partition": partition, "offset": "latest"}
        return rows(messages.read(broker, topic, **options))[::-1]

    @page.get("/api/dead-letters")
    def letters(limit: Limit = 50) -> list[dict[str, Any]]:
        table = dead_letters.dead_letters(broker, latest=limit)
        return rows(table.sort_values("time").tail(limit))[::-1]

    return page


def _file(name: str) -> Any:
    def file() -> FileResponse:
        return FileResponse(FOLDER / name)

    return file


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table as JSON has it: times as ISO 8601, None for what is missing."""
    return [
        {str(name): _plain(value) for name, value in one.items()}
        for one in frame.astype(object).to_dict("records")
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return None if value is pd.NA or value is pd.NaT else value


def _end_with_input() -> None:
    with suppress(OSError):
        while os.read(0, 1024):
            pass
    os._exit(0)


def main(bootstrap: str, session: str) -> None:
    """Serve, and print the address once on standard output."""
    threading.Thread(target=_end_with_input, daemon=True).start()
    broker = Broker(bootstrap, seconds=SECONDS)
    listener = socket.create_server(("127.0.0.1", 0))
    print(SERVING, f"http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
    config = uvicorn.Config(make_page(broker, session), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
