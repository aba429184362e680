"""The connection to supervisors: launches one, finds one, and sends it verbs."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import psutil

from environment import errors
from environment.compose import ROOT
from environment.errors import LabError, SessionGone, UnknownName
from environment.folders import home, live_sessions
from environment.identity import Identity
from environment.progress import Say, silent
from environment.specification import Specification
from environment.verbs import SERVING, Verbs, find_verb

SILENCE_SECONDS = 10.0
"""A working supervisor sends a heartbeat every second; after ten seconds without one it counts as gone."""

QUEUE_SECONDS = 0.05
"""Between two attempts to get a place in the queue of a supervisor."""

Progress = Callable[[], AbstractContextManager[Say]]
"""Opens a block in which lines of progress are shown."""


@contextmanager
def nowhere() -> Iterator[Say]:
    """Open a block that shows no progress."""
    yield silent


def owner() -> Identity:
    """Return the process for which this one starts things: itself, or the command that `LAB_OWNER` names by pid."""
    named = os.environ.get("LAB_OWNER")
    try:
        return Identity.of(int(named)) if named else Identity.own()
    except (ValueError, psutil.NoSuchProcess):
        raise LabError(f"LAB_OWNER={named} is not a running process.") from None


class Client:
    """One session's supervisor, seen from outside. Every verb is sent over a connection of its own."""

    def __init__(self, session: str) -> None:
        self.session = session
        self._socket = home() / session / "socket"
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def launch(cls, specification: Specification) -> "Client":
        """Start the supervisor of a new session; it serves when this returns, and nothing else runs yet."""
        process = subprocess.Popen(
            [sys.executable, "-m", "environment.supervisor"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=ROOT,
            env={**os.environ, "LAB_STATE": str(home())},  # it may be relative to where we are
        )
        assert process.stdin
        assert process.stdout
        process.stdin.write(specification.model_dump_json().encode() + b"\n")
        process.stdin.flush()
        output = b""
        for line in process.stdout:
            word, _, session = line.decode(errors="replace").strip().partition(" ")
            if word == SERVING:
                client = cls(session)
                # Its standard input is the pipe whose end it takes for our end.
                client._process = process
                return client
            output += line
        process.wait(SILENCE_SECONDS)
        raise LabError(f"The supervisor did not start: {output.decode(errors='replace').strip()}")

    @classmethod
    def find(cls, session: str | None = None) -> "Client":
        """Return the client of the named session, or of the only live one.

        Raises:
            UnknownName: there is no such session, or several live; the message lists those that live.
        """
        live = live_sessions()
        if session is None and len(live) == 1:
            return cls(live[0])
        if session in live:
            return cls(str(session))
        if session:
            problem = f"There is no live session {session!r}."
        else:
            problem = "Say which session: --session ID." if live else "No session is live."
        known = ", ".join(live) or "none; `lab up phase0` starts one"
        raise UnknownName(f"{problem} Live sessions: {known}.")

    def verbs(self, progress: Progress = nowhere) -> Verbs:
        """Return the session's verbs, to be called as methods.

        A call raises the `LabError` that the supervisor raised, and `SessionGone` when the supervisor does not answer.

        Args:
            progress: opens a block around each call, and takes the lines of progress of that call.
        """
        return cast(Verbs, _Remote(self, progress))

    def send(self, verb: str, arguments: dict[str, Any], say: Say = silent) -> Any:
        """Send one verb and return its result; `say` gets each line of progress."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(SILENCE_SECONDS)
            try:
                self._connect(connection)
                request = {"verb": verb, "arguments": arguments}
                connection.sendall(json.dumps(request, default=asdict).encode() + b"\n")
                for line in connection.makefile("rb"):
                    message = json.loads(line)
                    if "say" in message:
                        say(message["say"])
                    if "error" in message:
                        raise _raised(message["error"])
                    if "result" in message:
                        return message["result"]
            except OSError as error:
                raise self._gone(str(error)) from error
        raise self._gone("it ended in the middle of the work")

    def _connect(self, connection: socket.socket) -> None:
        """Connect, and wait for a place in the queue of a supervisor that gets many verbs at once."""
        deadline = time.monotonic() + SILENCE_SECONDS
        while True:
            try:
                return connection.connect(str(self._socket))
            except (BlockingIOError, ConnectionRefusedError) as error:
                # The queue is full: so says Linux, which does not wait when there is a time limit, and so says macOS.
                full = isinstance(error, BlockingIOError) or self.alive()
                if not full or time.monotonic() > deadline:
                    raise
                time.sleep(QUEUE_SECONDS)

    def alive(self) -> bool:
        """Return whether the supervisor still serves this session."""
        return self.session in live_sessions()

    def down(self) -> None:
        """Drain and remove the session; return when all is removed. Harmless when it is gone."""
        try:
            self.verbs().down()
        except SessionGone:
            if self.alive():
                raise
        self.reap()

    def reap(self) -> None:
        """Wait for a supervisor that is ending, so that it does not stay as a zombie process."""
        if self._process:
            assert self._process.stdin
            assert self._process.stdout
            self._process.stdin.close()
            self._process.stdout.close()
            self._process.wait(30)
            self._process = None

    def _gone(self, why: str) -> SessionGone:
        return SessionGone(
            f"Session {self.session} does not answer ({why}). "
            "Start again: what it left behind is removed first."
        )


class _Remote:
    """Sends each verb that is called on it; `Verbs` is its type for callers."""

    def __init__(self, client: Client, progress: Progress) -> None:
        self._client, self._progress = client, progress

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):  # Python and IPython look for these; none is a verb
            raise AttributeError(name)
        verb = find_verb(name)

        def send(*positional: object, **named: object) -> Any:
            arguments = verb.arguments(*positional, **named)
            with self._progress() as say:
                return self._client.send(verb.name, arguments, say)

        return send


def stop_owned() -> list[str]:
    """Stop every session that runs for this process, for commands that must leave nothing; return their names."""
    own, stopped = str(owner()), []
    for session in live_sessions():
        if _read(home() / session / "owner") == own:
            Client(session).down()
            stopped.append(session)
    return stopped


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _raised(error: dict[str, str]) -> LabError:
    kind = getattr(errors, error["kind"], LabError)
    return kind(error["message"]) if issubclass(kind, LabError) else LabError(error["message"])
