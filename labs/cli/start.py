"""The entry of the command `lab`: puts its process in order, then imports the command and runs it.

The shell's settings of Python are meant for other programs. A `yaml` that `PYTHONPATH` leads to would be imported
instead of ours, here and in all that this command starts; `PYTHONSTARTUP` would run in every kernel.
"""

import os
import sys

KEPT = {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"}
"""Variables of Python that change neither what is imported nor what it does."""


def main() -> None:
    """Run the command `lab`."""
    _open_standard_streams()
    kept = {name: os.environ[name] for name in os.environ if name in KEPT or name[:6] != "PYTHON"}
    if len(kept) < len(os.environ):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], kept)
    if sys.modules["__main__"].__spec__ and not sys.flags.safe_path:
        # `python -m` puts the current folder first: a `random.py` in it would be imported as Python's.
        del sys.path[0]
    from labs.cli import output
    from labs.cli.main import main as run

    output.guard()
    run()


def _open_standard_streams() -> None:
    """Open what the caller has closed: else a socket or a file of ours becomes the standard output of a child."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which takes the lowest free number
