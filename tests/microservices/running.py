"""Starting the real services as processes, and stopping them whatever happens."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx

from environment.supervisor.ports import PortBlock

START_SECONDS = 30.0
TOKEN = "the-session-token"
PORTS = PortBlock()
"""Of this test process alone: two that run side by side never meet."""


def free_port() -> int:
    """Return a port of ours without a listener; the same comes again after all others."""
    port = PORTS.take()
    PORTS.give_back(port)
    return port


def clean_environment(**variables: object) -> dict[str, str]:
    """Return this environment with these variables, and of a service's settings only that of the test's database."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "DATABASE_URL") if name in os.environ
    }
    return kept | {name: str(value) for name, value in variables.items()}


RUN_CHANGED = """
import importlib, json, runpy, sys
for name, value in json.loads(sys.argv.pop(1)).items():
    module, _, constant = name.rpartition(".")
    setattr(importlib.import_module(module), constant, value)
sys.argv[0] = sys.argv.pop(1)
runpy.run_module(sys.argv[0], run_name="__main__")
"""


class Running:
    """One service in a process of its own, reached over HTTP.

    `constants` replaces constants of its modules, by their full names: a time that a test waits for, and
    whose length is not what it tests.
    """

    def __init__(
        self,
        service: str,
        *,
        data: Path,
        version: str = "1",
        constants: dict[str, float] | None = None,
        **variables: object,
    ) -> None:
        self.port = int(str(variables.pop("PORT", 0))) or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        data.mkdir(exist_ok=True)
        self.log_path = data / f"{service}-{self.port}.log"
        package = f"microservices.{service.replace('-', '_')}"
        command = ["-c", RUN_CHANGED, json.dumps(constants)] if constants else ["-m"]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command, package, version],
                env=clean_environment(DATA_DIR=data, PORT=self.port, **variables),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.http = httpx.Client(base_url=self.url, timeout=15, trust_env=False)

    def wait_ready(self, path: str = "/ready") -> "Running":
        """Return when `path` answers 200.

        Raises:
            AssertionError: with the log, when the process ends or takes too long.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.http.get(path).status_code == 200:
                    return self
            except httpx.TransportError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"{self.url} is not ready; its log:\n{self.log()}")

    def log(self) -> str:
        """Return what the process has printed."""
        return self.log_path.read_text()

    def terminate(self) -> None:
        """Send SIGTERM; return at once."""
        self.process.terminate()

    def kill(self) -> None:
        """Send SIGKILL, and wait until the process is gone."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Kill the process if it lives still."""
        self.http.close()
        if self.process.poll() is None:
            self.kill()
