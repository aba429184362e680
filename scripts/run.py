"""Run the labs headless and write a report: `python3 scripts/run.py [lab run arguments]`."""

import os
import sys
from pathlib import Path

# Python leaves this folder out of its path when PYTHONSAFEPATH is set.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from _venv import ready_python

python, arguments = ready_python(sys.argv[1:])
# -P: without it, a `labs` or a `random.py` in the folder where this command is started would be imported as ours.
os.execv(python, [str(python), "-P", "-m", "labs.cli", "run", *arguments])
