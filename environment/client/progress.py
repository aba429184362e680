"""The display of progress: one line that changes, in a notebook and in a terminal, and leaves no trace."""

import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

QUIET_SECONDS = 0.5
"""Work that is done sooner shows nothing."""


class _Line(Protocol):
    def show(self, text: str) -> None: ...
    def clear(self) -> None: ...


class Progress:
    """A block that takes lines (`say`) and shows the latest one."""

    def __init__(self) -> None:
        self._line: _Line | None = None
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def __enter__(self) -> Callable[[str], None]:
        return self.say

    def __exit__(self, *_: object) -> None:
        if self._line is not None:
            self._line.clear()

    def say(self, line: str) -> None:
        """Show a line of progress."""
        with self._lock:
            if self._line is None and time.monotonic() - self._began >= QUIET_SECONDS:
                self._line = _new_line()
            if self._line is not None:
                self._line.show(line)


def in_notebook() -> bool:
    """Return whether what is displayed appears below a cell."""
    ipython = sys.modules.get("IPython")
    return bool(ipython and getattr(ipython.get_ipython(), "kernel", None))


class NotebookOutput:
    """A place below the running cell whose HTML can be replaced, from any thread."""

    def __init__(self) -> None:
        from IPython.display import HTML, display

        self._html: Any = HTML
        self._handle: Any = display(HTML(""), display_id=True)  # type: ignore[no-untyped-call]

    def show(self, html: str) -> None:
        """Replace the HTML."""
        self._handle.update(self._html(html))


def _new_line() -> _Line | None:
    if in_notebook():
        return _NotebookLine()
    return _TerminalLine() if sys.stderr.isatty() else None


class _NotebookLine:
    def __init__(self) -> None:
        self._output = NotebookOutput()

    def show(self, text: str) -> None:
        from html import escape

        self._output.show(f"<em>{escape(text)} …</em>")

    def clear(self) -> None:
        self._output.show("")


class _TerminalLine:
    def __init__(self) -> None:
        from rich.console import Console

        self._status = Console(stderr=True).status("")
        self._status.start()

    def show(self, text: str) -> None:
        from rich.markup import escape

        self._status.update(escape(text))

    def clear(self) -> None:
        self._status.stop()
