"""The reference answers of the mechanisms to write, their wrong twins, and why each of these is wrong."""

import runpy
from collections.abc import Callable
from importlib import import_module
from typing import Any

from labs.grading.mechanisms import FOLDER
from labs.mechanisms import every_mechanism

Twins = dict[str, tuple[str | None, str]]
"""By a twin's name: a part of the reason that the experiment gives, `None` when it cannot see the twin, and the quick
check that fails."""


def reference(id: str) -> str:
    """Return the source of the reference answer."""
    return (FOLDER / id / "reference.py").read_text(encoding="utf-8")


def source(id: str, twin: str) -> str:
    """Return the source of a wrong twin."""
    return (FOLDER / id / f"twin_{twin}.py").read_text(encoding="utf-8")


def function(id: str, source: str) -> Callable[..., Any]:
    """Return the function of a source for a mechanism that is no part of a service."""
    mechanism = every_mechanism()[id]
    names = dict(vars(import_module(mechanism.original.module)))
    exec(source, names)
    found: Callable[..., Any] = names[mechanism.name]
    return found


def twins(id: str) -> Twins:
    """Return the wrong twins of a mechanism."""
    found: Twins = runpy.run_path(str(FOLDER / id / "twins.py"))["TWINS"]
    return found
