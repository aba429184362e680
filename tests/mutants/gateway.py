"""Starts the real gateway with one function replaced."""

from collections.abc import Callable
from typing import Any

from tests.mutants import service


def run_with(module: object, name: str, function: Callable[..., Any]) -> None:
    """Run api-gateway with `module.name` replaced."""
    service.run_with("api-gateway", module, name, function)
