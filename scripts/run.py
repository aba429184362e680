"""Runs the labs headless and writes a report: `python3 scripts/run.py [lab run arguments]`."""

import os
import sys

from _venv import ready_python

python, arguments = ready_python(sys.argv[1:])
os.execv(python, [str(python), "-m", "labs.cli", "run", *arguments])
