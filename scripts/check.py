"""Check the code: `python3 scripts/check.py` runs ruff's rules, ruff's format and mypy, and shows the time of each.

It exits with 1 when one of them fails; the others run all the same. `--setup-only` only makes `.venv/`.
"""

import subprocess
import sys
import time
from pathlib import Path

# Python leaves this folder out of its path when PYTHONSAFEPATH is set.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from _venv import ROOT, VENV, ready_python

STEPS = {
    "rules": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "types": ["mypy"],
}


def main() -> int:
    """Run every step and return the exit status."""
    arguments = ready_python(sys.argv[1:], tools=True)[1]
    if arguments:
        print(__doc__)
        return 0 if set(arguments) <= {"-h", "--help"} else 2
    failed = [
        name for name, (program, *options) in STEPS.items() if not _passes(name, program, options)
    ]
    if failed:
        print(f"Failed: {', '.join(failed)}.")
    return 1 if failed else 0


def _passes(name: str, program: str, options: list[str]) -> bool:
    began = time.monotonic()
    command = [str(VENV / "bin" / program), *options]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    seconds = time.monotonic() - began
    outcome = "failed" if done.returncode else "ok"
    print(
        f"{name:8}{outcome:8}{seconds:5.1f} s   ({program} {' '.join(options)})".rstrip(),
        flush=True,
    )
    if done.returncode:
        print(done.stdout, flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
