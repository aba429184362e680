"""Where sessions live on disk: one folder each, private to this user, gone when the session is.

A folder holds `supervisor` (the identity of the supervisor), `socket` (for verbs), `owner` (the process for which the
session runs), `children` (the identities of its child processes), and state, data and logs of the replicas.
"""

import os
import random
import tempfile
import time
from pathlib import Path

import platformdirs

from environment.errors import LabError
from environment.identity import Identity

# Without letters that look alike. Four make a name that is short enough to type, and there are 850,000 of them.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_LONGEST_SOCKET = 100  # bytes; the kernel's limit is 108 on Linux and 104 on macOS
_UNCLAIMED_SECONDS = 3.0
_OWN_NAMES = {"supervisor", "supervisor.log", "owner", "socket", "children", "data", "logs"}
_ADVICE = "Set LAB_STATE to a folder you can write to."


def home() -> Path:
    """Return the folder of all sessions of this user; `LAB_STATE` moves it."""
    chosen = os.environ.get("LAB_STATE")
    path = (
        Path(chosen).expanduser().absolute()
        if chosen
        else platformdirs.user_state_path("microservices-lab") / "sessions"
    )
    if not _fits(path):
        path = _short_home(path)
    if not _is_text(path):
        raise LabError(f"{str(path)!a} is not UTF-8, and Java opens no such folder. {_ADVICE}")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(f"{path} cannot be made: {error}. {_ADVICE}") from error
    if path.stat().st_uid != os.getuid():
        raise LabError(f"{path} belongs to another user. {_ADVICE}")
    return path


def _short_home(path: Path) -> Path:
    """Return the folder that is taken in place of one whose path is too long for sockets."""
    for temporary in (tempfile.gettempdir(), "/tmp"):  # TMPDIR may name a long one too
        short = Path(temporary) / f"microservices-lab-{os.getuid()}"
        if _fits(short):
            return short
    raise LabError(f"The path of {path} is too long for sockets. Set LAB_STATE to a shorter one.")


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _fits(path: Path) -> bool:
    return len(os.fsencode(path / "abcd" / "socket")) <= _LONGEST_SOCKET


def new_folder() -> Path:
    """Make the folder of a new session; its name is the session."""
    while True:
        path = home() / "".join(random.SystemRandom().choices(_LETTERS, k=4))
        try:
            path.mkdir(mode=0o700)
            return path
        except FileExistsError:
            continue
        except OSError as error:
            raise LabError(f"{path} cannot be made: {error}. {_ADVICE}") from error


def live_sessions() -> list[str]:
    """Return the sessions whose supervisor runs, by name."""
    return sorted(
        path.name for path in _folders() if not _abandoned(path) and (path / "socket").exists()
    )


def abandoned_folders() -> list[Path]:
    """Return the folders of sessions whose supervisor has died."""
    return [path for path in _folders() if _abandoned(path)]


def _folders() -> list[Path]:
    return [path for path in home().iterdir() if path.is_dir()]


def _abandoned(path: Path) -> bool:
    try:
        return Identity.parse((path / "supervisor").read_text()).gone()
    except (OSError, ValueError):
        # A supervisor makes its folder and claims it at once, unless it dies in between.
        # Anything else in there is not ours: LAB_STATE may name a folder that other programs use too.
        try:
            ours = len(path.name) == 4 and set(path.name) <= set(_LETTERS)
            ours = ours and {one.name for one in path.iterdir()} <= _OWN_NAMES
            return ours and time.time() - path.stat().st_mtime > _UNCLAIMED_SECONDS
        except OSError:
            return False
