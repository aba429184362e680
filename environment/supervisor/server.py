"""The supervisor: one process per session that owns all that the session started, and outlives nobody's interest.

It is the parent of every child process and the only writer of the session's state. Verbs reach it over a Unix socket
in the session's folder, one connection each: a JSON line with the verb, then JSON lines back (`say`, `beat`, and at
last `result` or `error`). Attached, it watches its owner in two ways, because each alone can be fooled: a pipe, whose
other end a forked child of the owner may still hold, and the owner's identity, which is polled.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn
from urllib.parse import urlsplit

import psutil

from environment.client.connection import SERVING
from environment.errors import LabError, error_kind
from environment.folders import new_folder
from environment.identity import Identity
from environment.kafka import KAFKA
from environment.runtimes import Runtime
from environment.runtimes.choice import choose
from environment.specification import Specification
from environment.supervisor.plan import FRONT_DOOR
from environment.supervisor.ports import PortBlock
from environment.supervisor.session import Session
from environment.supervisor.sweep import sweep
from environment.waiting import wait_until

if TYPE_CHECKING:
    from environment.kafka.ui import PageServer

BEAT_SECONDS = 1.0
POLL_SECONDS = 1.0
REQUEST_SECONDS = 10.0
LAST_ANSWERS_SECONDS = 2.0

Reply = Callable[[dict[str, Any]], None]


class Supervisor:
    """Serves one session until it is stopped, its owner is gone, or a signal ends it."""

    def __init__(self, folder: Path, specification: Specification) -> None:
        self.folder, self.spec = folder, specification
        self.token = secrets.token_urlsafe(24)
        self._ports = PortBlock()
        self._session: Session | None = None
        self._runtime, self._reason = "", ""
        self._page: PageServer | None = None
        self._started = False
        self._making = threading.Lock()
        self._ending = threading.Lock()
        self.ending = False
        self.ended = threading.Event()
        self._attached = specification.owner is not None
        self._socket = folder / "socket"
        self._listener = socket.socket(socket.AF_UNIX)
        self._answering: set[socket.socket] = set()

    def serve(self) -> None:
        """Accepts verbs until the session has ended."""
        (self.folder / "supervisor").write_text(str(Identity.own()))
        (self.folder / "owner").write_text(self.spec.owner or "")
        self._listener.bind(str(self._socket))
        self._listener.listen(64)
        if self.spec.owner:
            _thread(self._watch_pipe)
        _thread(self._watch)
        _thread(self._accept)

    def end(self, *, drain: bool) -> None:
        """Removes everything, then lets the process end. The first caller does it; others wait for it."""
        self.ending = (
            True  # before we look for a session: one that is being made looks here afterwards
        )
        with self._ending:
            if self.ended.is_set():
                return
            try:
                if self._page:
                    self._page.stop()
                if self._session:
                    self._session.close(drain=drain)
            finally:
                self._listener.close()
                wait_until(self._removed, timeout=LAST_ANSWERS_SECONDS)
                self.ended.set()

    def _removed(self) -> bool:
        """Removes the folder; somebody may still be writing a last line into it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        return not self.folder.exists()

    def leave(self) -> NoReturn:
        """Ends this process, with last answers given and without anything that a verb may still have had at work."""
        wait_until(lambda: not self._answering, timeout=LAST_ANSWERS_SECONDS)
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
        os._exit(0)

    # -- verbs --

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed: the session has ended
                return
            _thread(self._answer, connection)

    def _answer(self, connection: socket.socket) -> None:
        writing = threading.Lock()

        def reply(message: dict[str, Any]) -> None:
            # Whoever asked may be gone: an interrupted cell does not stop a verb half-way.
            with writing, suppress(OSError):
                connection.sendall(json.dumps(message).encode() + b"\n")

        with connection:
            connection.settimeout(REQUEST_SECONDS)
            self._answering.add(connection)
            try:
                request = json.loads(connection.makefile("rb").readline())
                with _beats(reply):
                    result = self._perform(request["verb"], request.get("arguments", {}), reply)
                reply({"result": result})
            except LabError as error:
                reply({"error": {"kind": error_kind(error), "message": str(error)}})
            except Exception as error:
                _log(f"{type(error).__name__}: {error}")
                reply(
                    {"error": {"kind": "LabError", "message": f"{type(error).__name__}: {error}"}}
                )
            finally:
                self._answering.discard(connection)

    def _perform(self, verb: str, arguments: dict[str, Any], reply: Reply) -> Any:
        def say(line: str) -> None:
            _log(line)
            reply({"say": line})

        if verb == "state":
            return self._state()
        if verb == "down":
            return self.end(drain=True)
        if verb == "start":
            return self._start(say)
        if verb == "detach":
            self._attached = False
            (self.folder / "owner").write_text("")
            return None
        if self._session is None:
            raise LabError("Nothing runs in this session yet. Start it first.")
        if verb == "kafka_page":
            return self._kafka_page()
        if verb in ("logs", "access_log"):
            return getattr(self._session, verb)(**arguments)
        with self._unless_ending():
            if verb in ("scale", "configure", "roll", "restart", "heal", "stop"):
                return getattr(self._session, verb)(**arguments, say=say)
            if verb in ("kill", "pause", "fault", "balance"):
                return getattr(self._session, verb)(**arguments)
        raise LabError(f"There is no verb {verb!r}.")

    @contextmanager
    def _unless_ending(self) -> Iterator[None]:
        """What fails because the session is being removed says so, and not what it stumbled over."""
        try:
            yield
        except LabError as error:
            if self.ending:
                raise LabError("The session is being removed.") from error
            raise

    def _start(self, say: Callable[[str], None]) -> dict[str, Any]:
        first = not self._started
        try:
            with self._unless_ending():
                with self._making:
                    if self._session is None:
                        self._session = self._make(say)
                if self.ending:
                    raise LabError("Nothing was started.")
                self._session.start(say)
        except BaseException:
            if first:  # a start that failed leaves nothing; the same cell, run again, begins anew
                self.end(drain=False)
            raise
        self._started = True
        return self._state()

    def _make(self, say: Callable[[str], None]) -> Session:
        for name in sweep():
            say(f"removed what session {name} left behind")
        self._runtime, self._reason = choose(self.spec.runtime, say)
        return Session(self.spec, token=self.token, runtime=self._make_runtime())

    def _make_runtime(self) -> Runtime:
        words = (self.folder.name, self.folder, Identity.own(), self._ports)
        if self._runtime == "process":
            from environment.runtimes.process import ProcessRuntime

            return ProcessRuntime(*words)
        from environment.runtimes.docker import DockerRuntime

        return DockerRuntime(*words)

    def _state(self) -> dict[str, Any]:
        services = self._session.services() if self._session else {}
        return {
            "session": self.folder.name,
            "runtime": self._runtime or None,
            "reason": self._reason or None,
            "phase": self.spec.phase,
            "seed": self.spec.seed,
            "token": self.token,
            "url": services.get(FRONT_DOOR, {}).get("url"),
            "services": services,
            "kafka": _kafka(services),
            "data": str(self.folder),
        }

    def _kafka_page(self) -> str:
        """The address of the page that shows the broker; the first who asks starts it."""
        assert self._session
        kafka = _kafka(self._session.services())
        if kafka is None:
            raise LabError("There is no Kafka in this session, and so no page of it.")
        with self._making:
            if self.ending:
                raise LabError("The session is being removed.")
            if self._page is None:
                from environment.kafka.ui import PageServer

                self._page = PageServer(self.folder.name, self.folder)
        return self._page.url(kafka["bootstrap"])

    # -- lifetimes --

    def _watch_pipe(self) -> None:
        with suppress(OSError):
            while os.read(0, 1024):
                pass
        if self._attached:
            self.end(drain=False)

    def _watch(self) -> None:
        """Ends the session when its owner is gone, or its folder: then no verb can reach it any more."""
        owner = Identity.parse(self.spec.owner) if self.spec.owner else None
        while not self.ended.wait(POLL_SECONDS):
            if (owner and self._attached and owner.gone()) or not self._socket.exists():
                self.end(drain=False)


def _kafka(services: Mapping[str, Any]) -> dict[str, str] | None:
    if KAFKA not in services:
        return None
    return {"bootstrap": urlsplit(services[KAFKA]["url"]).netloc}


class _beats:
    """While the block runs, says every second that somebody is still at work."""

    def __init__(self, reply: Reply) -> None:
        self._reply, self._done = reply, threading.Event()

    def __enter__(self) -> None:
        _thread(self._beat)

    def __exit__(self, *_: object) -> None:
        self._done.set()

    def _beat(self) -> None:
        while not self._done.wait(BEAT_SECONDS):
            self._reply({"beat": True})


def _thread(target: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=target, args=arguments, daemon=True).start()


def _log(line: str) -> None:
    print(f"{datetime.now():%H:%M:%S.%f} {line}", file=sys.stderr, flush=True)


def main() -> None:
    """`python -m environment.supervisor`, with the specification as the first line on standard input."""
    specification = Specification.model_validate_json(_first_line())
    try:
        folder = new_folder()
    except LabError as error:
        sys.exit(str(error))
    try:
        supervisor = Supervisor(folder, specification)
        log = (folder / "supervisor.log").open("ab")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: _thread(lambda: supervisor.end(drain=True)))
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        supervisor.serve()
    except (LabError, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        sys.exit(f"{error}. Is the disk full, or the state folder read-only? `lab doctor` looks.")
    # Who launched us may be dead already; then the watchers end this session.
    with suppress(OSError):
        print(SERVING, folder.name, flush=True)
    _write_to(log)
    supervisor.ended.wait()
    supervisor.leave()


def _write_to(log: BinaryIO) -> None:
    """From here on what is said goes to a file; nobody reads the other end of our pipe any more."""
    with log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)


def _first_line() -> str:
    """Reads byte by byte, so that what follows stays in the pipe for the watcher."""
    line = b""
    while not line.endswith(b"\n"):
        if not (byte := os.read(0, 1)):
            raise SystemExit("The owner went away before it said what to start.")
        line += byte
    return line.decode()
