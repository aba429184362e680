"""The requests of a session that make something in Docker, so that its end misses nothing that is still being made."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from environment.errors import LabError, RuntimeUnavailable


class Creations:
    """Counts the requests that are under way, and refuses new ones once the session ends."""

    def __init__(self) -> None:
        self._under_way = 0
        self._unanswered = False
        self._closed = False
        self._changing = threading.Condition()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Surround each request that makes something. Raises `LabError` when the session ends."""
        with self._changing:
            if self._closed:
                raise LabError(
                    "This session is ending; nothing is started any more. Start a new one."
                )
            self._under_way += 1
        try:
            yield
        except RuntimeUnavailable:
            self._unanswered = True  # the engine may still carry it out
            raise
        finally:
            with self._changing:
                self._under_way -= 1
                self._changing.notify_all()

    def close(self) -> bool:
        """Refuse requests from now on; return whether some are under way."""
        with self._changing:
            self._closed = True
            return self._under_way > 0

    def all_answered(self, timeout: float) -> bool:
        """Wait for the requests under way; return whether the engine has answered every request."""
        with self._changing:
            done = self._changing.wait_for(lambda: not self._under_way, timeout=timeout)
        return done and not self._unanswered
