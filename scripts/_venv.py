"""Makes `.venv/` from requirements.lock when it is missing or stale. Needs nothing but Python 3.11."""

import fcntl
import hashlib
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "made-from"  # written last: a half-made environment has none


def ready_python(arguments: list[str]) -> tuple[Path, list[str]]:
    """The environment's Python, made if need be, and the arguments without `--setup-only` (which ends here)."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is run by whatever Python the machine has
        sys.exit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}.")
    with (ROOT / "pyproject.toml").open() as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # two commands at once make it once
        if _stamp() != _wanted():
            _make()
    if "--setup-only" in arguments:
        print(f"{VENV} is ready.")
        sys.exit(0)
    return VENV / "bin" / "python", arguments


def _wanted() -> str:
    content = LOCK.read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    return (
        f"{sys.version_info[0]}.{sys.version_info[1]} {ROOT} {hashlib.sha256(content).hexdigest()}"
    )


def _stamp() -> str:
    return STAMP.read_text() if STAMP.exists() else ""


def _make() -> None:
    began = time.monotonic()
    print("Making .venv/ from requirements.lock (about two minutes, once):", flush=True)
    # Of another Python, or of a clone that was moved: its programs name the old place.
    elsewhere = _stamp() and _stamp().rpartition(" ")[0] != _wanted().rpartition(" ")[0]
    STAMP.unlink(missing_ok=True)
    _run([sys.executable, "-m", "venv", *(["--clear"] if elsewhere else []), str(VENV)])
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install"]
    total = sum(1 for line in LOCK.read_text().splitlines() if "==" in line)
    _run([*pip, "--require-hashes", "-r", str(LOCK)], total=total)
    _run([*pip, "--quiet", "--no-deps", "--no-build-isolation", "-e", str(ROOT)])
    STAMP.write_text(_wanted())
    print(f"  done in {time.monotonic() - began:.0f} s", flush=True)


def _run(command: list[str], total: int = 0) -> None:
    """Runs a step, shows how far it is, and stops with the step's last lines when it fails."""
    lines, seen = [], 0
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        for line in process.stdout:
            lines.append(line)
            if total and line.startswith("Collecting"):
                seen += 1
                _show(f"  {min(seen, total)}/{total} {line.split()[1].partition('=')[0]}")
            elif line.startswith("Installing"):
                _show("  installing")
    if sys.stdout.isatty() and total:
        print()
    if process.returncode:
        sys.exit(
            f"{' '.join(command)}\nended with {process.returncode}:\n{''.join(lines[-15:])}{_advice(lines)}"
        )


def _show(text: str) -> None:
    if sys.stdout.isatty():
        print(f"\r\033[K{text}", end="", flush=True)


def _advice(lines: list[str]) -> str:
    if "ensurepip" in "".join(lines):
        return "Next: install the venv module (Debian and Ubuntu: apt-get install python3-venv)."
    return "Next: check that this machine reaches its package registry, then run the same command again."
