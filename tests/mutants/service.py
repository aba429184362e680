"""Starts a real service with one function replaced."""

import runpy
from collections.abc import Callable
from typing import Any


def run_with(service: str, module: object, name: str, function: Callable[..., Any]) -> None:
    """Run `service` with `module.name` replaced; a name that is not there would replace nothing."""
    if not callable(getattr(module, name)):
        raise TypeError(f"{name} is not a function")
    setattr(module, name, function)
    runpy.run_module(f"microservices.{service.replace('-', '_')}", run_name="__main__")
