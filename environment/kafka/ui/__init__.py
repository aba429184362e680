"""A page that shows the broker in a browser and updates by itself. It only reads, and listens on 127.0.0.1.

`server.py` answers, `page.html`, `page.css` and `page.js` show: no build, no other host, nothing to install.
"""

import os
import select
import subprocess
import sys
import threading
from pathlib import Path

from environment.compose import ROOT
from environment.errors import NotReady
from environment.identity import Identity
from environment.runtimes.process_removal import SESSION_LABEL, SUPERVISOR_LABEL

SERVING = "serving"
"""The page's server prints this word and its address when it can be opened."""

START_SECONDS = 20.0
EXIT_SECONDS = 5.0


class PageServer:
    """The one page of a session, as a child of this process; it ends with `stop`, and with this process."""

    def __init__(self, session: str, folder: Path) -> None:
        self._session, self._log = session, folder / "kafka-page.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._url = ""
        self._starting = threading.Lock()
        self._closed = False

    def url(self, bootstrap: str) -> str:
        """Return the address of the page, which is started when it does not run."""
        with self._starting:
            if self._closed:
                raise NotReady("The session is being removed.")
            if self._process is None or self._process.poll() is not None:
                self._start(bootstrap)
            return self._url

    def stop(self) -> None:
        """End the page; none is started any more."""
        with self._starting:
            self._closed = True
            if self._process:
                self._process.kill()  # it only reads
                self._process.wait(EXIT_SECONDS)

    def _start(self, bootstrap: str) -> None:
        labels = {SESSION_LABEL: self._session, SUPERVISOR_LABEL: str(Identity.own())}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "environment.kafka.ui.server", bootstrap, self._session],
                # Our end of this pipe closes with us, whatever ends us, and then it ends too.
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **labels},
                cwd=ROOT,
                start_new_session=True,
            )
        assert self._process.stdout
        readable, _, _ = select.select([self._process.stdout], [], [], START_SECONDS)
        if not readable:
            self._process.kill()
        word, _, url = self._process.stdout.readline().decode().strip().partition(" ")
        if word != SERVING:
            self._process.wait(EXIT_SECONDS)
            lines = self._log.read_text(errors="replace").strip().splitlines()
            why = lines[-1] if lines else f"it printed nothing within {START_SECONDS:.0f} s"
            raise NotReady(f"The page of Kafka did not start: {why}. Ask for it again.")
        self._url = url
