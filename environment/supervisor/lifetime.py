"""The supervisor: one process per session that owns all that the session started, and ends with it.

It is the parent of every child process and the only writer of the session's state. Attached, it watches its owner in
two ways, because neither is certain alone: a pipe, whose other end a forked child of the owner may still hold, and
the owner's identity, which is polled.
"""

import os
import secrets
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import psutil

from environment.errors import LabError
from environment.identity import Identity
from environment.kafka import KAFKA
from environment.progress import Say, silent
from environment.runtimes import Runtime
from environment.runtimes.choice import choose
from environment.runtimes.process_record import ProcessRecord
from environment.specification import Specification
from environment.states import KafkaState, ServiceState, SessionState
from environment.supervisor.plan import FRONT_DOOR
from environment.supervisor.ports import PortBlock
from environment.supervisor.server import VerbServer, in_thread
from environment.supervisor.session import Session
from environment.supervisor.sweep import sweep
from environment.supervisor.watchdog import Watchdog
from environment.verbs import Changing, Lifetime, find_verb
from environment.waiting import wait_until

if TYPE_CHECKING:
    from environment.kafka.ui import PageServer

POLL_SECONDS = 1.0
REMOVAL_SECONDS = 2.0


class Supervisor(Lifetime):
    """Serves one session until it is stopped, its owner is gone, or a signal ends it."""

    def __init__(self, folder: Path, specification: Specification) -> None:
        self.folder, self.spec = folder, specification
        self.token = secrets.token_urlsafe(24)
        self.ended = threading.Event()
        self._ports = PortBlock()
        self._session: Session | None = None
        self._runtime: Runtime | None = None
        self._reason = ""
        self._page: PageServer | None = None
        self._watchdog: Watchdog | None = None
        self._started = False
        self._making = threading.Lock()
        self._ending_lock = threading.Lock()
        self._ending = False
        self._attached = specification.owner is not None
        self._server = VerbServer(folder / "socket", self._perform)

    def serve(self) -> None:
        """Accept verbs until the session has ended."""
        (self.folder / "supervisor").write_text(str(Identity.own()))
        (self.folder / "owner").write_text(self.spec.owner or "")
        self._watchdog = Watchdog()
        self._server.listen()
        if self.spec.owner:
            in_thread(self._watch_pipe)
        in_thread(self._watch)

    def end(self, *, drain: bool) -> None:
        """Remove everything, then let the process end. The first caller does it; others wait for it."""
        # Before we look for a session: one that is being made looks here afterwards.
        self._ending = True
        with self._ending_lock:
            if self.ended.is_set():
                return
            try:
                if self._page:
                    self._page.stop()
                if self._session:
                    self._session.close(drain=drain)
            finally:
                self._server.close()
                wait_until(self._folder_removed, timeout=REMOVAL_SECONDS)
                if self._watchdog:
                    self._watchdog.end()
                self.ended.set()

    def leave(self) -> NoReturn:
        """End this process after the last responses, with everything that a verb may still have had at work."""
        self._server.finish_responses()
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
        os._exit(0)

    # -- verbs --

    def state(self) -> SessionState:
        """Return everything that `lab ps --json` prints."""
        services = self._session.services() if self._session else {}
        return {
            "session": self.folder.name,
            "runtime": self._runtime.name if self._runtime else None,
            "reason": self._reason or None,
            "phase": self.spec.phase,
            "seed": self.spec.seed,
            "token": self.token,
            "url": services[FRONT_DOOR]["url"] if FRONT_DOOR in services else None,
            "services": services,
            "replaced": self._session.replaced() if self._session else {},
            "kafka": _kafka(services),
            "data": str(self.folder),
        }

    def start(self, *, say: Say = silent) -> SessionState:
        """Start what does not run yet. A first start that fails leaves nothing, so that it can be repeated."""
        first = not self._started
        try:
            with self._unless_ending():
                with self._making:
                    if self._session is None:
                        self._session = self._make(say)
                if self._ending:
                    raise LabError("Nothing was started.")
                self._session.start(say)
        except BaseException:
            if first:
                self.end(drain=False)
            raise
        self._started = True
        return self.state()

    def detach(self) -> None:
        """Keep the session when its owner ends."""
        self._attached = False
        (self.folder / "owner").write_text("")

    def down(self) -> None:
        """Drain and remove the session."""
        self.end(drain=True)

    def kafka_page(self) -> str:
        """Return the address of the page that shows the broker; the first call starts the page."""
        kafka = _kafka(self._running_session().services())
        if kafka is None:
            raise LabError("There is no Kafka in this session, and so no page of it.")
        with self._making:
            if self._ending:
                raise LabError("The session is being removed.")
            if self._page is None:
                from environment.kafka.ui import PageServer

                self._page = PageServer(self.folder.name, self.folder)
        return self._page.url(kafka["bootstrap"])

    def _perform(self, name: str, arguments: Mapping[str, Any], say: Say) -> Any:
        verb = find_verb(name)
        given = verb.arguments(**arguments) | ({"say": say} if verb.reports else {})
        carrier = self if verb.protocol is Lifetime else self._running_session()
        with self._unless_ending() if verb.protocol is Changing else nullcontext():
            return getattr(carrier, name)(**given)

    def _running_session(self) -> Session:
        if self._session is None:
            raise LabError("Nothing runs in this session yet. Start it first.")
        return self._session

    @contextmanager
    def _unless_ending(self) -> Iterator[None]:
        """Give the removal of the session as the reason for what fails because of it."""
        try:
            yield
        except LabError as error:
            if self._ending:
                raise LabError("The session is being removed.") from error
            raise

    # -- making a session --

    def _make(self, say: Say) -> Session:
        for name in sweep():
            say(f"removed what session {name} left behind")
        chosen, self._reason = choose(self.spec.runtime, say)
        runtime = self._make_runtime(chosen)
        session = Session(self.spec, token=self.token, runtime=runtime)
        self._runtime = runtime
        return session

    def _make_runtime(self, chosen: str) -> Runtime:
        place = (self.folder.name, self.folder, Identity.own(), self._ports)
        if chosen == "process":
            from environment.runtimes.process import ProcessRuntime

            return ProcessRuntime(*place)
        from environment.runtimes.docker import DockerRuntime

        return DockerRuntime(*place)

    # -- lifetimes --

    def _watch_pipe(self) -> None:
        with suppress(OSError):
            while os.read(0, 1024):
                pass
        if self._attached:
            self.end(drain=False)

    def _watch(self) -> None:
        """End the session when its owner is gone, or its folder: then no verb can reach it any more."""
        owner = Identity.parse(self.spec.owner) if self.spec.owner else None
        while not self.ended.wait(POLL_SECONDS):
            if (owner and self._attached and owner.gone()) or not self._server.reachable:
                self.end(drain=False)

    def _folder_removed(self) -> bool:
        """Remove the folder; another thread may still be writing a last line into it.

        While one of its processes is left, the folder stays: a later sweep finds the process by it.
        """
        if ProcessRecord(self.folder).living():
            return False
        shutil.rmtree(self.folder, ignore_errors=True)
        return not self.folder.exists()


def _kafka(services: Mapping[str, ServiceState]) -> KafkaState | None:
    if KAFKA not in services:
        return None
    return {"bootstrap": urlsplit(services[KAFKA]["url"]).netloc}
