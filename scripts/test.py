"""Run the tests: `python3 scripts/test.py [--all | pytest arguments]`.

Without arguments it runs the fast tier, which is all tests but those marked `long`, and names what it left out.
`--all` runs every test. Any other arguments are passed to pytest as they are. `--setup-only` only makes `.venv/`.
"""

import os
import sys

# Python leaves this folder out of its path when PYTHONSAFEPATH is set.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - Python 2.7 has no pathlib

import _python  # noqa: F401 - first
import _tests

_tests.main(sys.argv[1:])
