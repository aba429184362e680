"""Replicas as child processes of the supervisor: the same programs where there is no Docker.

What Docker does by isolation is done here by translation: a described address becomes a loopback address, `/data` a
folder, `python` this Python. Every child carries the session's label in its environment block and is in its record.
"""

import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from environment.compose import ROOT, Service
from environment.errors import LabError
from environment.identity import Identity
from environment.nginx import PROXY
from environment.progress import Say
from environment.runtimes import Address, Launch, Status, Usage, replica_id
from environment.runtimes.process_record import ProcessRecord
from environment.runtimes.process_removal import (
    SESSION_LABEL,
    SUPERVISOR_LABEL,
    end_child,
    kill_labelled,
    started_by,
)
from environment.runtimes.programs import JARS, prepare_brokers, program
from environment.states import RuntimeKind
from environment.supervisor.ports import PortBlock
from environment.waiting import wait_until

# What a child inherits of the shell it was started from. Anything else, a stray DATABASE_URL for example, stays out.
_INHERITED = {
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR"),
    # Where a Python that is not the system's finds its own libraries.
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH"),
}


@dataclass
class _Child:
    service: Service
    names: Sequence[str]
    ports: dict[int, int]
    process: subprocess.Popen[bytes] | None = None
    paused: bool = False
    log: Path = field(default_factory=Path)


class ProcessRuntime:
    """One session's replicas as child processes, with state and logs in the session's folder."""

    name: RuntimeKind = "process"

    def __init__(self, session: str, folder: Path, supervisor: Identity, ports: PortBlock) -> None:
        self._session, self._folder, self._supervisor, self._ports = (
            session,
            folder,
            supervisor,
            ports,
        )
        self.proxy_source = _own_address()
        self._children: dict[str, _Child] = {}
        self._record = ProcessRecord(folder)
        self._starting = threading.Lock()
        self._closed = False

    def prepare(self, services: Sequence[Service], say: Say) -> None:
        """Make the folders, and find or fetch every program now, so that a missing one fails here."""
        (self._folder / "logs").mkdir(exist_ok=True)
        for volume in {name for service in services for name, _ in service.volumes}:
            (self._folder / "data" / volume).mkdir(parents=True, exist_ok=True)
        words = {word for service in services for word in service.command}
        for word in words:
            program(word, say)
        if JARS in words:
            prepare_brokers(self._inherited(), say)

    def reserve(
        self,
        service: Service,
        replica: int,
        *,
        names: Sequence[str] = (),
        fixed: Mapping[int, int] | None = None,
    ) -> dict[int, Address]:
        """Reserve a loopback port for each described port."""
        name = replica_id(service.name, replica)
        if name not in self._children:
            log = self._folder / "logs" / f"{name}.log"
            ports = {port: self._ports.take((fixed or {}).get(port)) for port in service.ports}
            self._children[name] = _Child(service, names, ports, log=log)
        return {
            port: Address(*[f"127.0.0.1:{own}"] * 3)
            for port, own in self._children[name].ports.items()
        }

    def start(self, launch: Launch) -> None:
        """Start the program in a process group of its own, with its output appended to the replica's log."""
        child = self._child(launch.id)
        child.paused = False
        self._write(launch.service, launch.files)
        with self._starting, child.log.open("ab") as log:
            if self._closed:
                raise LabError(f"{launch.id} was not started: the session is being removed.")
            try:
                child.process = subprocess.Popen(
                    self._command(child, launch.service),
                    env={**self._environment(child, launch.service), **launch.variables},
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # a Ctrl-C in the terminal is not for the services
                )
                self._record.add(child.process.pid)
            except OSError as error:
                raise LabError(
                    f"{launch.id} cannot be started as a process: {error}. "
                    "Look at its `command` in docker-compose.yml."
                ) from error

    def stop(self, replica: str, grace: float) -> None:
        """Send the service's signal to stop, and SIGKILL to the whole group after `grace` seconds."""
        child = self._child(replica)
        if child.process and child.process.poll() is None:
            if child.paused:
                self.resume(replica)  # a stopped process would not see the signal
            child.process.send_signal(signal.Signals[child.service.stop_signal])
            try:
                child.process.wait(grace)
            except subprocess.TimeoutExpired:
                self.kill(replica)
        end_child(child.process, self._record)

    def kill(self, replica: str) -> None:
        """Kill the replica with everything that it started."""
        child = self._child(replica)
        end_child(child.process, self._record)
        child.paused = False

    def reload(self, replica: str, files: Mapping[str, bytes]) -> None:
        """Write files into the volume's folder and send SIGHUP."""
        self._write(self._child(replica).service, files)
        self._signal(replica, signal.SIGHUP)

    def read(self, replica: str, path: str) -> bytes:
        """Return the content of a file in a volume's folder; empty when there is none."""
        file = Path(self._on_disk(self._child(replica).service, path))
        return file.read_bytes() if file.exists() else b""

    def pause(self, replica: str) -> None:
        """Send SIGSTOP."""
        self._signal(replica, signal.SIGSTOP)
        self._child(replica).paused = True

    def resume(self, replica: str) -> None:
        """Send SIGCONT."""
        self._signal(replica, signal.SIGCONT)
        self._child(replica).paused = False

    def remove(self, replica: str) -> None:
        """Kill the replica and give its ports back."""
        child = self._children.pop(replica, None)
        if child:
            end_child(child.process, self._record)
            for port in child.ports.values():
                self._ports.give_back(port)

    def status(self, replica: str) -> Status:
        """Return the condition of a replica."""
        child = self._children.get(replica)
        if child is None or child.process is None:
            return Status("absent")
        code = child.process.poll()
        if code is not None:
            return Status("exited", exit_code=code)
        return Status("paused" if child.paused else "running", pid=child.process.pid)

    def usage(self, replica: str) -> Usage:
        """Return the memory and CPU time of a replica with its child processes."""
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
        """Return the last lines of the replica's log file."""
        try:
            text = self._child(replica).log.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def destroy(self) -> None:
        """Kill everything that carries the session's label."""
        with self._starting:  # a start that is under way ends first; none begins any more
            self._closed = True
        for replica in list(self._children):
            self.remove(replica)
        self._record.kill()
        # A child may have left its process session: the label finds it.
        wait_until(lambda: not kill_labelled(self._session), timeout=10)

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
        for member in started_by(process):  # PostgreSQL's have groups of their own
            if number in (signal.SIGSTOP, signal.SIGCONT):
                with suppress(psutil.Error):
                    member.send_signal(number)

    def _command(self, child: _Child, service: Service) -> list[str]:
        """Return the command with this machine's programs, folders, and the address to listen on."""
        own = {str(port): str(taken) for port, taken in child.ports.items()}
        own["0.0.0.0"] = "127.0.0.1"
        return [own.get(w) or program(self._on_disk(service, w)) for w in service.command]

    def _environment(self, child: _Child, service: Service) -> dict[str, str]:
        own = {
            # In this order: the name of a folder may look like an address.
            name: self._on_disk(service, self._translated(value))
            for name, value in service.environment.items()
        }
        return {
            **self._inherited(),
            **own,
            "HOST": "127.0.0.1",
            "PORT": str(child.ports[service.port]),
        }

    def _inherited(self) -> dict[str, str]:
        """Return the variables of every program: some of this process, and the session's labels."""
        return {
            **{name: value for name, value in os.environ.items() if name in _INHERITED},
            "PYTHONPATH": str(ROOT),
            SESSION_LABEL: self._session,
            SUPERVISOR_LABEL: str(self._supervisor),
        }

    def _on_disk(self, service: Service, word: str) -> str:
        """Put the folder of a volume in place of the path where it is mounted."""
        for volume, path in service.volumes:
            if word == path or word.startswith(f"{path}/"):
                return str(self._folder / "data" / volume) + word.removeprefix(path)
        return word

    def _write(self, service: Service, files: Mapping[str, bytes]) -> None:
        for path, content in files.items():
            file = Path(self._on_disk(service, path))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)  # it may hold a password
            file.write_bytes(content)

    def _translated(self, value: str) -> str:
        """Put loopback addresses in place of `name:port` of described services, and of a proxy's bare name."""
        for child in self._children.values():
            if value == PROXY == child.service.name:
                return self.proxy_source
            for name in child.names:
                for port, own in child.ports.items():
                    value = re.sub(rf"\b{name}:{port}\b", f"127.0.0.1:{own}", value)
        return value


def _own_address() -> str:
    """Return a loopback address that only nginx uses, where the machine has more than one.

    macOS has one: there a client that reaches the gateway directly can claim any address in `X-Real-IP`.
    """
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.2", 0))
        except OSError:
            return "127.0.0.1"
        return "127.0.0.2"
