"""Runs the tests: `python3 scripts/test.py [pytest arguments]`; without arguments all of them, on two cores."""

import os
import sys

from _venv import ROOT, ready_python

python, arguments = ready_python(sys.argv[1:])
os.chdir(ROOT)
everything = ["-n", "2", "--dist", "loadfile"]  # tests/conftest.py says which run beside which
os.execv(python, [str(python), "-m", "pytest", *(arguments or everything)])
