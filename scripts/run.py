"""Run the labs headless and write a report: `python3 scripts/run.py [lab run arguments]`.

`--setup-only` only makes `.venv/`; `--java` adds a Java for Kafka to it.
"""

import os
import sys

# Python leaves this folder out of its path when PYTHONSAFEPATH is set.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - Python 2.7 has no pathlib

import _python  # noqa: F401 - first
import _runs

_runs.main(sys.argv[1:])
