"""The server of a session's verbs: a Unix socket, and one connection per verb.

A request is a JSON line with the verb and its arguments. The response is JSON lines: `say` with a line of progress,
`beat` once a second as a heartbeat, and at last `result` or `error`.
"""

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from environment.errors import LabError, error_kind
from environment.progress import Say
from environment.waiting import wait_until

BEAT_SECONDS = 1.0
REQUEST_SECONDS = 10.0
LAST_RESPONSES_SECONDS = 2.0

BACKLOG = 4096
"""Connections that wait to be accepted; the kernel may hold fewer, and clients then wait for a place."""

_RETRY_SECONDS = 0.1

Perform = Callable[[str, Mapping[str, Any], Say], Any]
"""Carries out the verb of that name with these arguments, and returns its result."""

Reply = Callable[[dict[str, Any]], None]


class VerbServer:
    """Accepts verbs at `path`, until it is closed. Each is carried out in a thread of its own."""

    def __init__(self, path: Path, perform: Perform) -> None:
        self._path, self._perform = path, perform
        self._listener = socket.socket(socket.AF_UNIX)
        self._connections: set[socket.socket] = set()
        self._closed = threading.Event()

    @property
    def reachable(self) -> bool:
        """Whether clients still find the socket."""
        return self._path.exists()

    def listen(self) -> None:
        """Accept verbs from now on."""
        self._listener.bind(str(self._path))
        self._listener.listen(BACKLOG)
        in_thread(self._accept)

    def close(self) -> None:
        """Accept no more verbs."""
        self._closed.set()
        self._listener.close()

    def finish_responses(self) -> None:
        """Wait, for a short time, until the verbs that were accepted have their responses."""
        wait_until(lambda: not self._connections, timeout=LAST_RESPONSES_SECONDS)

    def _accept(self) -> None:
        while not self._closed.is_set():
            connection = None
            try:
                connection, _ = self._listener.accept()
                in_thread(self._respond, connection)
            # No descriptor or no thread is free (or the session has ended). Others give theirs back: a session that
            # accepted no more would be out of reach for ever.
            except (OSError, RuntimeError) as error:
                if connection:
                    connection.close()
                if not self._closed.wait(_RETRY_SECONDS):
                    log(f"a verb could not be accepted: {error}")

    def _respond(self, connection: socket.socket) -> None:
        writing = threading.Lock()

        def reply(message: dict[str, Any]) -> None:
            # The client may be gone: an interrupted cell does not stop a verb half-way.
            with writing, suppress(OSError):
                connection.sendall(json.dumps(message).encode() + b"\n")

        def say(line: str) -> None:
            log(line)
            reply({"say": line})

        with connection:
            connection.settimeout(REQUEST_SECONDS)
            self._connections.add(connection)
            try:
                request = json.loads(connection.makefile("rb").readline())
                with _beats(reply):
                    result = self._perform(request["verb"], request.get("arguments", {}), say)
                reply({"result": result})
            except LabError as error:
                reply({"error": {"kind": error_kind(error), "message": str(error)}})
            except Exception as error:
                message = f"{type(error).__name__}: {error}"
                log(message)
                reply({"error": {"kind": "LabError", "message": message}})
            finally:
                self._connections.discard(connection)


@contextmanager
def _beats(reply: Reply) -> Iterator[None]:
    """Send a heartbeat every second while the block runs."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(BEAT_SECONDS):
            reply({"beat": True})

    in_thread(beat)
    try:
        yield
    finally:
        done.set()


def in_thread(target: Callable[..., None], *arguments: object) -> None:
    """Run a function in a thread that does not keep the process alive."""
    threading.Thread(target=target, args=arguments, daemon=True).start()


def log(line: str) -> None:
    """Write a line to the supervisor's log."""
    print(f"{datetime.now():%H:%M:%S.%f} {line}", file=sys.stderr, flush=True)
