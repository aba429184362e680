"""The connection to the Docker engine, or the reason why there is none and what to do about it.

An engine can be absent, deny access, hang, or be another machine's; a learner sees the difference here, within
seconds, and not as a stack trace or a silent wait later on.
"""

import os
import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from docker import DockerClient
from docker.context import ContextAPI
from docker.errors import APIError, DockerException, NotFound
from docker.utils import kwargs_from_env, parse_host, version_lt

from environment.errors import LabError, RuntimeUnavailable

ANSWER_SECONDS = 8
"""How long an engine that answered once may take for an answer before it counts as hanging."""

WORK_SECONDS = 30
"""How long it may take in a session, where it works on its disk: the first start of a container after a build has
taken 8 s, and meanwhile the engine answers no question about that container."""

_TOTAL_SECONDS = 8.0
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_OLDEST_API = "1.41"  # Docker 20.10
_INSTEAD = "Or go on without Docker: runtime `process`."


@dataclass(frozen=True)
class _Endpoint:
    """Where an engine may be: its address, the reason for looking there, and TLS settings."""

    url: str
    because: str
    tls: Any = None


class _Absent(RuntimeUnavailable):
    """Nothing is at that address; the next may be tried."""


def connect(*, timeout: float = 3.0, patience: int = ANSWER_SECONDS) -> DockerClient:
    """Return a client of the engine that `docker` on the command line would use.

    `timeout` is the seconds to wait for its first answer, `patience` those for each later one (a build is silent for
    longer than a `ps`). Raises `RuntimeUnavailable`, in less than 10 s whatever the engine does.
    """
    deadline = time.monotonic() + _TOTAL_SECONDS
    endpoints = _endpoints()
    failure: RuntimeUnavailable | None = None
    for endpoint in endpoints:
        left = deadline - time.monotonic()
        if failure and left <= 0:
            break
        try:
            client = _reached(endpoint, min(timeout, left))
        except _Absent as error:
            failure = failure or error
            continue
        except RuntimeUnavailable as error:
            # The error of a socket that exists explains more than a missing socket.
            failure = error if failure is None or isinstance(failure, _Absent) else failure
            continue
        client.api.timeout = patience
        return client
    if isinstance(failure, _Absent) and len(endpoints) > 1:
        raise RuntimeUnavailable(
            "No Docker engine was found: there is no socket at "
            + ", ".join(endpoint.url.removeprefix("unix://") for endpoint in endpoints)
            + f". Install Docker, or start it (Docker Desktop, Colima, systemctl). {_INSTEAD}"
        )
    assert failure is not None
    raise failure


@contextmanager
def asking(action: str) -> Iterator[None]:
    """Surround calls to the engine that `action` names ("start user-service-1"): their failures become `LabError`s."""
    try:
        yield
    except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as error:
        raise RuntimeUnavailable(
            f"The Docker engine stopped answering when asked to {action} ({_root_cause(error)}). "
            "Restart Docker, then start again; what was left behind is removed at the next start."
        ) from error
    except (DockerException, requests.RequestException) as error:
        reason = error.explanation if isinstance(error, APIError) else error
        hint = " Is it there? `lab ps` shows it." if isinstance(error, NotFound) else ""
        raise LabError(
            f"The Docker engine did not {action}: {reason}.{hint} "
            "If you cannot repair this here, read the engine's log or restart Docker."
        ) from error


def architecture(client: DockerClient) -> str:
    """Return the processor its images are for, by Docker's names: `amd64`, `arm64`."""
    with asking("say what machine it runs on"):
        return str(client.version()["Arch"])


def _endpoints() -> list[_Endpoint]:
    """Return where to look, in the order of Docker's own command line."""
    if os.environ.get("DOCKER_HOST"):
        try:
            configured = kwargs_from_env()
            url = str(parse_host(os.environ["DOCKER_HOST"]))
        except (DockerException, ValueError, OSError) as error:
            raise RuntimeUnavailable(
                f"DOCKER_HOST={os.environ['DOCKER_HOST']} is not an engine's address ({error}). Unset it, or write "
                f"one such as unix:///var/run/docker.sock. {_INSTEAD}"
            ) from error
        return [_Endpoint(url, f"DOCKER_HOST={os.environ['DOCKER_HOST']}", configured.get("tls"))]
    name = os.environ.get("DOCKER_CONTEXT")
    try:
        context = ContextAPI.get_context(name) if name else ContextAPI.get_current_context()
    except Exception as error:  # the SDK raises plain Exception for a damaged file
        raise RuntimeUnavailable(
            f"Docker's contexts cannot be read: {error}. Try `docker context use default`. {_INSTEAD}"
        ) from error
    if context is None or not context.Host:
        raise RuntimeUnavailable(
            f"The Docker context {name or 'in use'} does not exist or names no engine. "
            f"`docker context ls` lists them; choose one with `docker context use`. {_INSTEAD}"
        )
    if context.Name != "default":
        return [_Endpoint(context.Host, f"the Docker context {context.Name}", context.TLSConfig)]
    return [_Endpoint(f"unix://{path}", "a usual place") for path in _usual_sockets()]


def _usual_sockets() -> list[Path]:
    """Return where Docker, rootless Docker, Docker Desktop, OrbStack and Colima put their sockets."""
    home = Path.home()
    runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    return [
        Path("/var/run/docker.sock"),
        Path(runtime, "docker.sock"),
        home / ".docker/run/docker.sock",
        home / ".docker/desktop/docker.sock",
        home / ".orbstack/run/docker.sock",
        home / ".colima/default/docker.sock",
    ]


def _reached(endpoint: _Endpoint, timeout: float) -> DockerClient:
    """Connect in a thread of its own.

    A name that does not resolve, or an engine that sends a byte per second, would pass any limit of a socket.
    """
    _refuse_elsewhere(endpoint)
    answers: queue.Queue[DockerClient | BaseException] = queue.Queue()

    def attempt() -> None:
        try:
            answers.put(_attempt(endpoint, timeout))
        except BaseException as error:
            answers.put(error)

    threading.Thread(target=attempt, daemon=True).start()
    try:
        answer = answers.get(timeout=timeout + 0.5)
    except queue.Empty:
        answer = TimeoutError()
    if isinstance(answer, BaseException):
        raise _explained(answer, endpoint, timeout) from answer
    return answer


def _attempt(endpoint: _Endpoint, timeout: float) -> DockerClient:
    address = urlsplit(endpoint.url)
    # First the bare socket, whose errors are exact; then Docker's greeting.
    if address.scheme.endswith("unix"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(timeout)
            probe.connect(address.path)
    else:
        socket.create_connection((address.hostname, address.port or 2375), timeout).close()
    client = DockerClient(base_url=endpoint.url, timeout=timeout, tls=endpoint.tls)  # type: ignore[arg-type]
    if version_lt(client.api.api_version, _OLDEST_API):
        raise DockerException(f"its API is {client.api.api_version}")
    return client


def _refuse_elsewhere(endpoint: _Endpoint) -> None:
    address = urlsplit(endpoint.url)
    if address.scheme == "ssh" or (address.hostname or "localhost") not in _LOOPBACK:
        raise RuntimeUnavailable(
            f"The Docker engine at {endpoint.url} ({endpoint.because}) is on another machine, and the ports of its "
            f"containers would be too. Use an engine on this machine. {_INSTEAD}"
        )


def _explained(error: BaseException, endpoint: _Endpoint, timeout: float) -> RuntimeUnavailable:
    where = f"{endpoint.url} ({endpoint.because})"
    match _root_cause(error):
        case TimeoutError():
            return RuntimeUnavailable(
                f"The Docker engine at {where} hangs: it gave no answer within {timeout:.0f} s. "
                f"Restart Docker. {_INSTEAD}"
            )
        case PermissionError():
            return RuntimeUnavailable(
                f"The Docker engine at {where} denies access to this user. Become a member of the group `docker` "
                f"(`sudo usermod -aG docker $USER`) and log in again. {_INSTEAD}"
            )
        case FileNotFoundError() | NotADirectoryError():
            return _Absent(f"There is no Docker engine at {where}. Start Docker. {_INSTEAD}")
        case ConnectionRefusedError():
            return RuntimeUnavailable(
                f"The Docker engine at {where} does not run: no program listens there. Start Docker. {_INSTEAD}"
            )
        case other:
            return RuntimeUnavailable(
                f"What answers at {where} is not a Docker engine that we can use ({other}); "
                f"Docker 20.10 (API {_OLDEST_API}) or later is needed. {_INSTEAD}"
            )


def _root_cause(error: BaseException) -> BaseException:
    """Return the cause under the layers of the SDK, requests and urllib3; every kind of time-out as `TimeoutError`."""
    seen: list[BaseException] = []
    while error not in seen:
        seen.append(error)
        if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
            return TimeoutError("no answer in time")
        inner = [part for part in error.args if isinstance(part, BaseException)]
        error = error.__cause__ or (inner[0] if inner else None) or error.__context__ or error
    return error
