"""Run the tests: `python3 scripts/test.py [--all | pytest arguments]`.

Without arguments it runs the fast tier, which is all tests but those marked `long`, and names what it left out.
`--all` runs every test. Any other arguments are passed to pytest as they are. `--setup-only` only makes `.venv/`.
"""

import os
import sys
from pathlib import Path

# Python leaves this folder out of its path when PYTHONSAFEPATH is set.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from _venv import ROOT, ready_python

EVERYTHING = ["-n", "2", "--dist", "loadfile"]  # tests/conftest.py decides which run beside which
FAST = [*EVERYTHING, "-m", "not long", "-p", "tests.tiers"]


def pytest_arguments(arguments: list[str]) -> list[str]:
    """Return pytest's arguments for those of this command."""
    if not arguments:
        return FAST
    if "--all" in arguments:
        return EVERYTHING + [argument for argument in arguments if argument != "--all"]
    return arguments


if __name__ == "__main__":
    python, given = ready_python(sys.argv[1:], tools=True)
    os.chdir(ROOT)
    os.environ.pop("PYTHONSAFEPATH", None)  # `tests` is imported from the current folder
    os.execv(python, [str(python), "-m", "pytest", *pytest_arguments(given)])
