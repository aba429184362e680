"""Runs the tests: `python3 scripts/test.py [pytest arguments]`."""

import os
import sys

from _venv import ROOT, ready_python

python, arguments = ready_python(sys.argv[1:])
os.chdir(ROOT)
os.execv(python, [str(python), "-m", "pytest", *arguments])
