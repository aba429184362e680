"""The command line of a service: `PORT=3002 python -m microservices.order_service [VERSION]`.

Exit codes: 0 after SIGTERM or Ctrl-C, 1 when the port is taken, 2 for a bad version or setting.
"""

import gc
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from importlib import import_module
from typing import NoReturn

from fastapi import FastAPI

from microservices.kit.file_limit import raise_file_limit
from microservices.kit.settings import BadSetting, Settings, read_settings
from microservices.kit.workers import run_workers


def main(
    package: str, *, port: int, versions: Sequence[str], settings: type[Settings] = Settings
) -> NoReturn:
    """Run the service in `package`, in the version that the command line names, until it is stopped.

    `microservices.order_service` version 1 is `build(settings)` in its module `v1`.
    """
    # A signal before there is a server: there is nothing to finish.
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: os._exit(0))
    raise_file_limit()
    service = package.rpartition(".")[2].replace("_", "-")
    version = chosen_version(service, sys.argv[1:], versions)
    try:
        values = read_settings(settings, port=port, instance=f"{service}-{own_number()}")
        if values.workers > 1:
            serve_one = partial(serve_one_of_many, package, version, values)
            run_workers(values.workers, serve_one, bind(service, values))
        app = build(package, version, values)
    except BadSetting as error:
        stop(2, f"{service}: {error}")
    serve(app, values, bind(service, values), service=service, version=version)


def own_number() -> str:
    """Return what distinguishes this replica from others: the process id, or in a container its name."""
    return socket.gethostname() if os.getpid() == 1 else str(os.getpid())


def build(package: str, version: str, settings: Settings) -> FastAPI:
    """Build one version, with what `REPLACED` replaces; the modules of the others are never imported."""
    with replaced(package, settings):
        app: FastAPI = import_module(f"{package}.v{version}").build(settings)
    return app


def replaced(package: str, settings: Settings) -> AbstractContextManager[None]:
    """Return the block in which a service is built."""
    if not settings.replaced:
        return nullcontext()
    from microservices.kit.replacement import replacing  # what it imports is for labs only

    return replacing(settings.replaced, package)


def chosen_version(service: str, arguments: list[str], versions: Sequence[str]) -> str:
    """Return the version that the command line names, the first one when it names none."""
    if not arguments:
        return versions[0]
    if len(arguments) > 1 or arguments[0] not in versions:
        known = ", ".join(versions)
        stop(2, f"{service}: no version {' '.join(arguments)!r}; versions are: {known}")
    return arguments[0]


def serve_one_of_many(
    package: str, version: str, settings: Settings, listener: socket.socket
) -> None:
    """Serve as one of several processes on the same port."""
    service = package.rpartition(".")[2].replace("_", "-")
    try:
        app = build(package, version, settings)
    except BadSetting as error:
        stop(2, f"{service}: {error}")
    serve(app, settings, listener, service=service, version=version)


def serve(
    app: FastAPI, settings: Settings, listener: socket.socket, *, service: str, version: str
) -> NoReturn:
    """Serve until SIGTERM, drain, and exit."""
    import uvicorn  # after the settings are validated: it costs a tenth of a second

    from microservices.kit import drain, logs
    from microservices.kit.http.protocol import StrictProtocol

    logs.configure(service=service, version=version, instance=settings.instance)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=StrictProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # else any local client takes the address of its X-Forwarded-For
        timeout_keep_alive=75,  # longer than nginx's 60 s: the client side closes first
        timeout_graceful_shutdown=drain.FINISH_SECONDS,
    )
    # All that was imported stays in use. Garbage collections that traverse it again and again would
    # cost a third of the throughput and stop every request for tens of milliseconds.
    gc.collect()
    gc.freeze()
    drain.DrainingServer(config, app.state.drain).run(sockets=[listener])
    sys.exit(0)


def bind(service: str, settings: Settings) -> socket.socket:
    """Bind the port, without listening yet: a connection is accepted once it will be answered."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        stop(1, f"{service}: cannot listen on {where} ({error.strerror}); choose another PORT")
    return listener


def stop(code: int, line: str) -> NoReturn:
    """Exit with one line for a person."""
    print(line, file=sys.stderr)
    sys.exit(code)
