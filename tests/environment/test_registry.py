"""The way to a package registry follows the user's settings, and an install does not."""

import os
import sys
from pathlib import Path

import pytest

from environment.registry import installer_environment, pip_settings

PIP = [sys.executable, "-P", "-m", "pip"]

REDIRECTS = {
    "target": "/elsewhere",
    "user": "true",
    "prefix": "/elsewhere",
    "root": "/elsewhere",
    "require-virtualenv": "true",
    "dry-run": "true",
    "no-binary": ":all:",
    "constraint": "/elsewhere",
    "isolated": "true",
    "quiet": "3",
    "python": "/elsewhere",
}


def variables(tmp_path: Path, **others: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **others}


def variable(name: str) -> str:
    """The variable of one of pip's settings."""
    return "PIP_" + name.upper().replace("-", "_")


def prepared(tmp_path: Path, **others: str) -> dict[str, str]:
    given = variables(tmp_path, **others)
    return installer_environment(pip_settings(PIP, given), given)


@pytest.mark.parametrize("section", ["global", "install"])
def test_a_file_of_pip_redirects_nothing(tmp_path: Path, section: str) -> None:
    lines = [f"[{section}]", *(f"{name} = {value}" for name, value in REDIRECTS.items())]
    (tmp_path / "pip.conf").write_text("\n".join([*lines, "index-url = https://mirror.invalid/x"]))
    environment = prepared(tmp_path, PIP_CONFIG_FILE=str(tmp_path / "pip.conf"))
    assert "/elsewhere" not in environment.values()
    assert not environment.keys() & {variable(name) for name in REDIRECTS}
    assert environment["PIP_INDEX_URL"] == "https://mirror.invalid/x"
    assert environment["PIP_CONFIG_FILE"] == os.devnull
    assert environment["UV_DEFAULT_INDEX"] == "https://mirror.invalid/x"


def test_a_variable_of_pip_or_uv_redirects_nothing(tmp_path: Path) -> None:
    given = {variable(name): value for name, value in REDIRECTS.items()}
    given |= {
        "UV_TARGET": "/elsewhere",
        "UV_SYSTEM_PYTHON": "1",
        "UV_PYTHON": "3.8",
        "UV_NO_BINARY": "1",
    }
    kept = {"UV_INDEX_URL": "https://mirror.invalid/x", "UV_CACHE_DIR": "/cache"}
    environment = prepared(tmp_path, **given, **kept)
    assert not environment.keys() & given.keys()
    assert environment.items() >= kept.items()


@pytest.mark.parametrize(
    ("content", "read"),
    [
        ('index-url = "https://mirror.invalid/x"', True),
        ('[[index]]\nurl = "https://mirror.invalid/x"\ndefault = true', True),
        ('[pip]\nindex-url = "https://mirror.invalid/x"', True),
        ('[pip]\ntarget = "/elsewhere"', False),
        ('no-binary = true\nindex-url = "https://mirror.invalid/x"', False),
        ("not toml", False),
    ],
)
def test_a_file_of_uv_is_read_if_it_redirects_nothing(
    tmp_path: Path, content: str, read: bool
) -> None:
    file = tmp_path / ".config" / "uv" / "uv.toml"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    environment = prepared(tmp_path)
    expected = {"UV_CONFIG_FILE": str(file)} if read else {"UV_NO_CONFIG": "1"}
    names = ("UV_CONFIG_FILE", "UV_NO_CONFIG")
    assert {name: environment[name] for name in names if name in environment} == expected


def test_without_pip_there_are_no_settings(tmp_path: Path) -> None:
    assert pip_settings(["false"], variables(tmp_path)) == {}
