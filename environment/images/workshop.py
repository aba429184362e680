"""The folder that images are made in: one build at a time, and nothing left lying about."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from environment.errors import LabError
from environment.runtimes import Say
from environment.waiting import wait_until

LOCK_SECONDS = 900.0
_SCRATCH = "scratch-"


def cache_folder() -> Path:
    """Where what was downloaded for images is kept from one build to the next, per user."""
    path = platformdirs.user_cache_path("microservices-lab") / "images"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(
            f"{path} cannot be made: {error}. Set XDG_CACHE_HOME to a folder you own."
        ) from error
    return path


@contextmanager
def workshop(say: Say) -> Iterator[Path]:
    """A scratch folder for one build, gone at the end. A second build of the same user waits for the first."""
    cache = cache_folder()
    with (cache / "lock").open("a+") as lock:
        _lock(lock.fileno(), cache / "lock", say)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        # We hold the lock, so these belong to builds that were killed.
        for left_behind in cache.glob(f"{_SCRATCH}*"):
            shutil.rmtree(left_behind, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=cache) as folder:
            yield Path(folder)


def _lock(descriptor: int, path: Path, say: Say) -> None:
    def locked() -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False

    if not locked():
        say(
            f"waiting for another build of images to finish (process {path.read_text() or 'unknown'})"
        )
        if not wait_until(locked, timeout=LOCK_SECONDS, every=0.2):
            raise LabError(
                f"Another build of images has not finished in {LOCK_SECONDS:.0f} s "
                f"(process {path.read_text()}). End it, then build again."
            )
