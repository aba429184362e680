"""Check the code: `python3 scripts/check.py` runs ruff's rules, ruff's format and mypy, and shows the time of each.

It exits with 1 when one of them fails; the others run all the same. `--setup-only` only makes `.venv/`.
"""

import os
import sys

# Python leaves this folder out of its path when PYTHONSAFEPATH is set.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - Python 2.7 has no pathlib

import _python  # noqa: F401 - first
import _static_checks

_static_checks.main(sys.argv[1:])
