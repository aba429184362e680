"""Shows that long work goes on: one line that changes, in a notebook and in a terminal."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

QUIET_SECONDS = 0.5
"""Work that is done sooner shows nothing."""


class Progress:
    """A block that takes lines (`say`) and shows the latest with the seconds since its start; it leaves no trace."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def __enter__(self) -> Callable[[str], None]:
        return self.say

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def say(self, line: str) -> None:
        """Shows a line of progress."""
        with self._lock:
            if self._bar is None and time.monotonic() - self._began >= QUIET_SECONDS:
                self._bar = self._new_bar()
            if self._bar is not None:
                self._bar.set_description_str(line)

    def _new_bar(self) -> Any:
        from tqdm.auto import tqdm

        return tqdm(total=0, bar_format="{desc} ({elapsed})", leave=False)
