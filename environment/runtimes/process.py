"""Replicas as child processes of the supervisor: the same programs where there is no Docker.

What Docker does by isolation is done here by translation: a described address becomes a loopback address, `/data` a
folder, `python` this Python, and every child carries the session's label in its environment block.
"""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from environment.compose import ROOT, Service
from environment.errors import LabError
from environment.identity import Identity
from environment.ports import PortBlock
from environment.runtimes import Launch, Say, Status, Usage, replica_id
from environment.waiting import wait_until

SESSION_LABEL, SUPERVISOR_LABEL = "LAB_SESSION", "LAB_SUPERVISOR"

# What a child may know of the shell it was started from. Anything else, a stray DATABASE_URL say, stays outside.
_INHERITED = {"PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "SSL_CERT_FILE"}


@dataclass
class _Child:
    service: Service
    port: int
    process: subprocess.Popen[bytes] | None = None
    paused: bool = False
    log: Path = field(default_factory=Path)


class ProcessRuntime:
    """One session's replicas as child processes, in `folder` (state and logs)."""

    name = "process"

    def __init__(self, session: str, folder: Path, supervisor: Identity, ports: PortBlock) -> None:
        self._session, self._folder, self._supervisor, self._ports = (
            session,
            folder,
            supervisor,
            ports,
        )
        self._children: dict[str, _Child] = {}
        self._starting = threading.Lock()
        self._closed = False

    def prepare(self, services: Sequence[Service], say: Say) -> None:
        (self._folder / "logs").mkdir(exist_ok=True)
        for volume in {name for service in services for name, _ in service.volumes}:
            (self._folder / "data" / volume).mkdir(parents=True, exist_ok=True)

    def reserve(self, service: Service, replica: int, *, port: int | None = None) -> str:
        name = replica_id(service.name, replica)
        if name not in self._children:
            log = self._folder / "logs" / f"{name}.log"
            self._children[name] = _Child(service, self._ports.take(port), log=log)
        return f"http://127.0.0.1:{self._children[name].port}"

    def start(self, launch: Launch) -> None:
        child = self._child(launch.id)
        child.paused = False
        with self._starting, child.log.open("ab") as log:
            if self._closed:
                raise LabError(f"{launch.id} was not started: the session is being removed.")
            try:
                child.process = subprocess.Popen(
                    [
                        sys.executable if word == "python" else word
                        for word in launch.service.command
                    ],
                    env=self._environment(launch.service, child.port),
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # a Ctrl-C in the terminal is not for the services
                )
            except OSError as error:
                raise LabError(
                    f"{launch.id} cannot be started as a process: {error}. "
                    "Look at its `command` in docker-compose.yml."
                ) from error

    def stop(self, replica: str, grace: float) -> None:
        child = self._child(replica)
        if child.process and child.process.poll() is None:
            if child.paused:
                self.resume(replica)  # a stopped process would not see the signal
            child.process.terminate()
            try:
                child.process.wait(grace)
            except subprocess.TimeoutExpired:
                self.kill(replica)
        _end_group(child.process)

    def kill(self, replica: str) -> None:
        child = self._child(replica)
        _end_group(child.process)
        child.paused = False

    def pause(self, replica: str) -> None:
        self._signal(replica, signal.SIGSTOP)
        self._child(replica).paused = True

    def resume(self, replica: str) -> None:
        self._signal(replica, signal.SIGCONT)
        self._child(replica).paused = False

    def remove(self, replica: str) -> None:
        child = self._children.pop(replica, None)
        if child:
            _end_group(child.process)
            self._ports.give_back(child.port)

    def status(self, replica: str) -> Status:
        child = self._children.get(replica)
        if child is None or child.process is None:
            return Status("absent")
        code = child.process.poll()
        if code is not None:
            return Status("exited", exit_code=code)
        return Status("paused" if child.paused else "running", pid=child.process.pid)

    def usage(self, replica: str) -> Usage:
        pid = self.status(replica).pid
        try:
            if pid is None:
                return Usage(0, 0.0)
            leader = psutil.Process(pid)
            members = [leader, *leader.children(recursive=True)]
            times = [member.cpu_times() for member in members]
            return Usage(
                sum(member.memory_info().rss for member in members),
                sum(time.user + time.system for time in times),
            )
        except psutil.Error:  # it ended while we looked
            return Usage(0, 0.0)

    def logs(self, replica: str, lines: int) -> str:
        try:
            text = self._child(replica).log.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def destroy(self) -> None:
        with (
            self._starting
        ):  # whatever is being started is in our hands now, and nothing starts any more
            self._closed = True
        for replica in list(self._children):
            self.remove(replica)
        # A child may have left its group: ask the label, not our memory.
        wait_until(lambda: not _kill_labelled(self._session), timeout=10)

    def _child(self, replica: str) -> _Child:
        try:
            return self._children[replica]
        except KeyError:
            raise LabError(f"No address was reserved for {replica}.") from None

    def _signal(self, replica: str, number: int) -> None:
        process = self._child(replica).process
        if process is None or process.poll() is not None:
            raise LabError(f"{replica} does not run. Start it with `lab restart`.")
        os.killpg(process.pid, number)

    def _environment(self, service: Service, port: int) -> dict[str, str]:
        own = {name: self._translated(value) for name, value in service.environment.items()}
        for volume, path in service.volumes:
            folder = str(self._folder / "data" / volume)
            own = {name: folder if value == path else value for name, value in own.items()}
        return {
            **{name: value for name, value in os.environ.items() if name in _INHERITED},
            **own,
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "PYTHONPATH": str(ROOT),
            SESSION_LABEL: self._session,
            SUPERVISOR_LABEL: str(self._supervisor),
        }

    def _translated(self, value: str) -> str:
        """Puts loopback addresses in place of `name:port` of described services."""
        for child in self._children.values():
            name, port = child.service.name, child.service.port
            first = self._children.get(replica_id(name, 1))
            if first:
                value = re.sub(rf"\b{name}:{port}\b", f"127.0.0.1:{first.port}", value)
        return value


def _end_group(process: subprocess.Popen[bytes] | None) -> None:
    """Kills a child with all that it started, and reaps it."""
    if process is None:
        return
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
    # Its children, if it left any. The leader is reaped and its pid may be another's by now: ask the label as well.
    for member in psutil.process_iter():
        if SESSION_LABEL in _labels(member) and _group(member) == process.pid:
            _kill(member)


def _group(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return None


def _labels(process: psutil.Process) -> Mapping[str, str]:
    try:
        if process.uids().real != os.getuid() or process.status() == psutil.STATUS_ZOMBIE:
            return {}
        return process.environ()
    except (psutil.Error, OSError):
        return {}


def _kill_labelled(session: str) -> list[int]:
    found = []
    for process in psutil.process_iter():
        if process.pid != os.getpid() and _labels(process).get(SESSION_LABEL) == session:
            found.append(process.pid)
            _kill(process)
    return found


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.Error):
        process.kill()  # psutil checks that the pid was not reused


def sweep_processes() -> list[str]:
    """Kills this user's processes that a dead supervisor left behind; returns their sessions."""
    swept = set()
    for process in psutil.process_iter():
        labels = _labels(process)
        try:
            owner = Identity.parse(labels.get(SUPERVISOR_LABEL, ""))
        except ValueError:
            continue
        if process.pid != os.getpid() and owner.gone():
            swept.add(labels[SESSION_LABEL])
            _kill(process)
    return sorted(swept)
