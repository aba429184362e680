"""The folder that images are made in: one build at a time, and nothing is left behind."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from environment.errors import LabError
from environment.progress import Say
from environment.waiting import wait_until

LOCK_SECONDS = 900.0
_SCRATCH = "scratch-"


def cache_folder() -> Path:
    """Return where downloads for images are kept from one build to the next, per user."""
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
    """Yield a scratch folder for one build, gone at the end. A second build of the same user waits for the first."""
    cache = cache_folder()
    with (cache / "lock").open("a+") as lock:
        _lock(lock.fileno(), cache / "lock", say)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        _remove_scratch(cache)
        with tempfile.TemporaryDirectory(
            prefix=_SCRATCH, dir=cache, ignore_cleanup_errors=True
        ) as folder:
            yield Path(folder)


def sweep_scratch() -> None:
    """Remove what a killed build left; while another build is at work, nothing: that build has removed it."""
    cache = cache_folder()
    with (cache / "lock").open("a+") as lock:
        if _try_lock(lock.fileno()):
            _remove_scratch(cache)


def _remove_scratch(cache: Path) -> None:
    """Remove what earlier builds left. To be called with the lock held: then no live build uses these folders."""
    for left_behind in cache.glob(f"{_SCRATCH}*"):
        shutil.rmtree(left_behind, ignore_errors=True)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


def _lock(descriptor: int, path: Path, say: Say) -> None:
    if not _try_lock(descriptor):
        say(
            f"waiting for another build of images to finish (process {path.read_text() or 'unknown'})"
        )
        if not wait_until(lambda: _try_lock(descriptor), timeout=LOCK_SECONDS, every=0.2):
            raise LabError(
                f"Another build of images has not finished in {LOCK_SECONDS:.0f} s "
                f"(process {path.read_text()}). End it, then build again."
            )
