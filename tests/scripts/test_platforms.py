"""Every package of the lock files has a wheel, on each Python and each kind of machine that the course supports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from environment.outside import back_outside
from tests.scripts.test_venv import JAVA, LOCKS, ROOT

pytestmark = pytest.mark.slow  # asks the package registry

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "aarch64-apple-darwin")


@pytest.fixture(scope="module")
def uv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """uv of the lock file: in the environment where uv installed it, else fetched."""
    if (uv := Path(sys.executable).with_name("uv")).exists():
        return uv
    folder = tmp_path_factory.mktemp("uv")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder)]
    subprocess.run(
        [*pip, "--require-hashes", "-r", str(ROOT / "requirements-uv.lock")],
        env=back_outside(os.environ),
        check=True,
    )
    return folder / "bin" / "uv"


def installs(
    uv: Path, python: str, platform: str, *locks: Path
) -> subprocess.CompletedProcess[str]:
    """What uv would install on another machine; it asks the registry, and downloads nothing."""
    target = ["--python-version", python, "--python-platform", platform, "--target", "nowhere"]
    options = ["--dry-run", "--no-deps", "--require-hashes", "--only-binary", ":all:", *target]
    files = [word for lock in locks for word in ("-r", str(lock))]
    return subprocess.run(
        [uv, "pip", "install", "--python", sys.executable, *options, *files],
        env=back_outside(os.environ),
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_the_locks_install_from_wheels(uv: Path, python: str, platform: str) -> None:
    done = installs(uv, python, platform, *(ROOT / name for name in (*LOCKS, JAVA)))
    assert done.returncode == 0, done.stderr
    assert "jupyterlab" in done.stderr
    assert "ruff" in done.stderr


def test_a_mac_with_an_intel_processor_lacks_wheels(uv: Path) -> None:
    """As README.md, the setup and `lab doctor` state; it also shows that a missing wheel is found."""
    done = installs(uv, "3.12", "x86_64-apple-darwin", ROOT / "requirements.lock")
    assert done.returncode != 0
    assert "no usable wheels" in done.stderr
