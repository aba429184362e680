"""PostgreSQL refuses to run as root, and so it runs as `nobody` where this is root.

Its programs and its data may lie below folders that only root may enter, such as /root. So it keeps one of root's
capabilities, to pass through them (`CAP_DAC_OVERRIDE`): all other children of such a session are root entirely.
"""

import ctypes
import os
import pwd
import sys
from pathlib import Path

USER = "nobody"

_KEEP_CAPABILITIES, _AMBIENT, _RAISE = 8, 47, 2  # prctl(2)
_VERSION, _DAC_OVERRIDE = 0x20080522, 1  # capset(2), capabilities(7)


def is_root() -> bool:
    """Return whether PostgreSQL would refuse."""
    return os.geteuid() == 0


def unprivileged() -> pwd.struct_passwd:
    """Return the user that it runs as instead of root."""
    return pwd.getpwnam(USER)


def give_to_unprivileged(folder: Path) -> None:
    """Make `nobody` the owner of a folder and of all in it."""
    user = unprivileged()
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


def leave_root() -> None:
    """Become `nobody`, for good, and keep what it takes to pass through root's folders."""
    user = unprivileged()
    linux = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    if linux:
        _check(linux.prctl(_KEEP_CAPABILITIES, 1, 0, 0, 0))
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    if linux:
        bit = 1 << _DAC_OVERRIDE
        # Effective, permitted and inheritable; the second half is for capabilities from 32 on.
        sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
        header = (ctypes.c_uint32 * 2)(_VERSION, 0)
        _check(linux.capset(header, sets))
        _check(linux.prctl(_AMBIENT, _RAISE, _DAC_OVERRIDE, 0, 0))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot become {USER}: {os.strerror(number)}")
