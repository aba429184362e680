"""The checks of the code: what `scripts/check.py` does."""

import subprocess
import sys
import time

from _venv import ROOT, VENV, own_variables, ready_python, sentences

STEPS = {
    "rules": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "types": ["mypy"],
}


def main(given: list[str]) -> None:
    """Run every step, and exit with 1 when one fails."""
    arguments = ready_python(given, tools=True)[1]
    with sentences():
        if arguments:
            print("Usage: python3 scripts/check.py [--setup-only]")
            sys.exit(0 if set(arguments) <= {"-h", "--help"} else 2)
        sys.exit(1 if _failed() else 0)


def _failed() -> list[str]:
    failed = [
        name for name, (program, *options) in STEPS.items() if not _passes(name, program, options)
    ]
    if failed:
        print(f"Failed: {', '.join(failed)}.", flush=True)
    return failed


def _passes(name: str, program: str, options: list[str]) -> bool:
    began = time.monotonic()
    command = [str(VENV / "bin" / program), *options]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=own_variables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
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
