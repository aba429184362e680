"""A real browser without a window, spoken to by its own protocol (CDP)."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websocket import WebSocket, create_connection

from environment.waiting import wait_until

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
SECONDS = 30


def program() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Tab:
    """One page of the browser."""

    def __init__(self, connection: WebSocket) -> None:
        self._connection, self._number = connection, 0
        self.said: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **words: Any) -> dict[str, Any]:
        """One call of the protocol; what the page complains of meanwhile goes to `said`."""
        self._number += 1
        self._connection.send(json.dumps({"id": self._number, "method": method, "params": words}))
        while True:
            message = json.loads(self._connection.recv())
            if message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.said.append(json.dumps(message["params"]))
            if message.get("id") == self._number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    def go(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def look(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        return found["result"].get("value")

    def sees(self, words: str, *, seconds: float = SECONDS) -> bool:
        """Waits until the words can be read on the page."""
        script = f"document.body !== null && document.body.innerText.includes({json.dumps(words)})"
        return bool(wait_until(lambda: self.look(script), timeout=seconds, every=0.1))


@contextmanager
def browser() -> Iterator[Tab]:
    """A tab of a browser of its own, which is gone afterwards."""
    path = program()
    assert path, f"no browser: none of {', '.join(NAMES)} is on the path"
    with tempfile.TemporaryDirectory(prefix="lab-browser-", ignore_cleanup_errors=True) as folder:
        quiet = ["--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--no-sandbox"]
        command = [path, "--headless=new", *quiet, "--remote-debugging-port=0"]
        process = subprocess.Popen(
            [*command, "--remote-allow-origins=*", f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield Tab(_connected(Path(folder)))
        finally:
            process.terminate()
            process.wait(SECONDS)


def _connected(folder: Path) -> WebSocket:
    import httpx

    file = folder / "DevToolsActivePort"
    assert wait_until(lambda: file.exists() and file.read_text().count("\n"), timeout=SECONDS)
    port = file.read_text().splitlines()[0]

    def page() -> str | None:
        listed = httpx.get(f"http://127.0.0.1:{port}/json", timeout=SECONDS, trust_env=False).json()
        return next((one["webSocketDebuggerUrl"] for one in listed if one["type"] == "page"), None)

    address = wait_until(page, timeout=SECONDS)
    assert address
    return create_connection(address, timeout=SECONDS, http_no_proxy=["127.0.0.1"])


needs_browser = pytest.mark.skipif(
    program() is None and not os.environ.get("LAB_REQUIRE_BROWSER"),
    reason=f"no browser: none of {', '.join(NAMES)} is on the path",
)
