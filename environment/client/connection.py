"""Talks to supervisors: launches one, finds one, and sends it verbs."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from environment import errors
from environment.compose import ROOT
from environment.errors import LabError, SessionGone, UnknownName
from environment.folders import home, live_sessions
from environment.identity import Identity
from environment.specification import Specification

SILENCE_SECONDS = 10.0
"""A supervisor at work says so every second; ten seconds of silence mean that it does not answer."""

SERVING = "serving"
"""With this word and the session's name a supervisor says that verbs reach it."""


def owner() -> Identity:
    """For whom this process starts things: itself, or the command that `LAB_OWNER` names by pid."""
    named = os.environ.get("LAB_OWNER")
    try:
        return Identity.of(int(named)) if named else Identity.own()
    except (ValueError, psutil.NoSuchProcess):
        raise LabError(f"LAB_OWNER={named} is not a running process.") from None


class Client:
    """One session's supervisor, seen from outside. Every call is a connection of its own."""

    def __init__(self, session: str) -> None:
        self.session = session
        self._socket = home() / session / "socket"
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def launch(cls, specification: Specification) -> "Client":
        """Starts the supervisor of a new session; it serves when this returns, and nothing else runs yet."""
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
        said = b""
        for line in process.stdout:
            word, _, session = line.decode(errors="replace").strip().partition(" ")
            if word == SERVING:
                client = cls(session)
                client._process = (
                    process  # its standard input is the pipe by which it knows we live
                )
                return client
            said += line
        process.wait(SILENCE_SECONDS)
        raise LabError(f"The supervisor did not start: {said.decode(errors='replace').strip()}")

    @classmethod
    def find(cls, session: str | None = None) -> "Client":
        """The named session, or the only live one. Raises `UnknownName` that lists those that live."""
        live = live_sessions()
        if session is None and len(live) == 1:
            return cls(live[0])
        if session in live:
            return cls(str(session))
        known = ", ".join(live) or "none; `lab up phase0` starts one"
        asked = (
            f"There is no live session {session!r}."
            if session
            else "Say which session: --session ID."
        )
        raise UnknownName(
            f"{asked if session or live else 'No session is live.'} Live sessions: {known}."
        )

    def call(self, verb: str, *, say: Callable[[str], None] | None = None, **arguments: Any) -> Any:
        """Sends a verb and returns its result; `say` gets each line of progress.

        Raises the `LabError` that the supervisor raised, and `SessionGone` when it does not answer.
        """
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(SILENCE_SECONDS)
            try:
                connection.connect(str(self._socket))
                connection.sendall(
                    json.dumps({"verb": verb, "arguments": arguments}).encode() + b"\n"
                )
                for line in connection.makefile("rb"):
                    message = json.loads(line)
                    if "say" in message and say:
                        say(message["say"])
                    if "error" in message:
                        raise _raised(message["error"])
                    if "result" in message:
                        return message["result"]
            except OSError as error:
                raise self._gone(str(error)) from error
        raise self._gone("it ended in the middle of the work")

    def alive(self) -> bool:
        """Whether the supervisor still serves this session."""
        return self.session in live_sessions()

    def down(self, say: Callable[[str], None] | None = None) -> None:
        """Drains and removes the session; returns when all is removed. Harmless when it is gone."""
        try:
            self.call("down", say=say)
        except SessionGone:
            if self.alive():
                raise
        self.reap()

    def reap(self) -> None:
        """Waits for a supervisor that is ending, so that it does not stay as a zombie of ours."""
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


def stop_owned() -> list[str]:
    """Stops every session that runs for this process; returns their names. For commands that must leave nothing."""
    mine, stopped = str(owner()), []
    for session in live_sessions():
        if _read(home() / session / "owner") == mine:
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
